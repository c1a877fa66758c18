import { setTimeout as sleep } from "node:timers/promises";
import { create, equals, type MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { may } from "../auth/index.ts";
import {
  type EditionSchema,
  type FollowResponse,
  FollowResponseSchema,
  type PeerProxy,
  PeerProxySchema,
  type PeerService,
} from "../gen/weir/v1/peer_pb.ts";
import type { RolloutProgress } from "../gen/weir/v1/rollout_pb.ts";
import { heartbeatMs, type Lag, type ProxyView } from "../peers/index.ts";
import { permissionDenied, principal } from "./access.ts";
import { sightsOf } from "./applied.ts";
import type { ApiContext } from "./context.ts";

/** What other replicas are told of. */
export type PeerContext = Pick<
  ApiContext,
  "fleet" | "published" | "registry" | "rollouts" | "relay" | "replica"
>;

/** Changes are collected for this long before they are sent. */
const gatherMs = 200;
/** Larger fleets are sent in several messages. */
const maxInOne = 500;

/** Tells other replicas of this one's proxies, and of the rollouts that it walks. */
export function createPeerService(context: PeerContext): ServiceImpl<typeof PeerService> {
  return {
    async *follow(_request, { signal }) {
      const who = principal();
      if (!may(who, "viewer", "*")) throw permissionDenied(who, "viewer", "*");
      const changes = createChanges(context);
      const outbox = context.relay.open();
      const pods = context.registry.open();
      let sentMs = Number.NEGATIVE_INFINITY;
      try {
        while (!signal.aborted) {
          const update = create(FollowResponseSchema, {
            replica: context.replica,
            ...changes(),
            ...outbox.take(),
            endpoints: pods.take(),
            endpointsKnown: context.registry.isComplete(),
          });
          if (!isEmpty(update) || performance.now() - sentMs >= heartbeatMs) {
            sentMs = performance.now();
            yield* inPieces(update);
          }
          await sleep(gatherMs, undefined, { signal }).catch(() => {});
        }
      } finally {
        outbox.close();
        pods.close();
      }
    },
  };
}

/** Tells what changed since it was asked last; everything at first. */
function createChanges(context: PeerContext) {
  const sent = new Map<string, PeerProxy>();
  const editions = new Map<string, Pick<ProxyView, "etags" | "held">>();
  let walked: ReadonlySet<RolloutProgress> = new Set();

  return (): Pick<FollowResponse, "proxies" | "gone" | "rollouts"> & {
    editions: MessageInitShape<typeof EditionSchema>[];
  } => {
    const proxies = new Map(context.fleet.list().map((proxy) => [proxy.node, proxy]));
    const proxyViews = new Map(sightsOf(context).map((view) => [view.node, view]));
    const changed = [...proxyViews.values()].flatMap(({ node, scope, lag }) => {
      const proxy = proxies.get(node);
      const now = create(PeerProxySchema, {
        scope: [...scope],
        ...(proxy ? { proxy } : {}),
        ...(lag ? lagMessage(node, lag) : {}),
      });
      const before = sent.get(node);
      if (before && equals(PeerProxySchema, before, now)) return [];
      sent.set(node, now);
      return [now];
    });
    const gone = [...sent.keys()].filter((node) => !proxyViews.has(node));
    for (const node of gone) sent.delete(node);
    const newer = [...proxyViews.values()].flatMap(({ scope, etags, held }) => {
      const key = scope.join();
      const before = editions.get(key);
      if (etags === undefined || (before?.etags === etags && before.held === held)) return [];
      editions.set(key, { etags, held });
      return [
        {
          scope: [...scope],
          etags: Object.fromEntries(etags),
          held: Object.fromEntries(held ?? []),
        },
      ];
    });
    // When proxies of a scope come back, the scope is sent to the other side again.
    const scopes = new Set([...proxyViews.values()].map(({ scope }) => scope.join()));
    for (const scope of editions.keys()) if (!scopes.has(scope)) editions.delete(scope);
    const walking = context.rollouts.walking();
    // What is the same as before is the same object.
    const rollouts = walking.filter((each) => !walked.has(each));
    walked = new Set(walking);
    return { proxies: changed, gone, editions: newer, rollouts };
  };
}

function lagMessage(node: string, lag: Lag) {
  const { reason, refused = false, refusedBefore = false, brief = "", concerns = [] } = lag;
  return { lag: { node, reason, refused, refusedBefore }, brief, concerns: [...concerns] };
}

function isEmpty(update: FollowResponse): boolean {
  const { proxies, gone, editions, reports, grants, rollouts, endpoints } = update;
  const all = [proxies, gone, editions, reports, grants, rollouts, endpoints];
  return all.every(({ length }) => length === 0);
}

function* inPieces(update: FollowResponse) {
  const { replica, proxies, gone, editions, reports, grants, rollouts, endpoints } = update;
  const longest = Math.max(proxies.length, reports.length, grants.length, endpoints.length);
  const pieces = Math.max(1, Math.ceil(longest / maxInOne));
  for (let i = 0; i < pieces; i++) {
    const part = <T>(all: T[]) => all.slice(i * maxInOne, (i + 1) * maxInOne);
    yield create(FollowResponseSchema, {
      replica,
      ...(i === 0 ? { gone, editions, rollouts } : {}),
      proxies: part(proxies),
      reports: part(reports),
      grants: part(grants),
      endpoints: part(endpoints),
      // All of them have been told with the last piece.
      endpointsKnown: update.endpointsKnown && i === pieces - 1,
    });
  }
}
