import type { FollowResponse, PeerProxy } from "../gen/weir/v1/peer_pb.ts";
import type { RolloutProgress } from "../gen/weir/v1/rollout_pb.ts";
import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import type { Sight } from "./sight.ts";

/** What is known of one other replica's proxies. */
export interface Peer {
  take(update: FollowResponse): void;
  /** The stream broke: what is known is from now on what it last said. */
  lost(nowMs: number): void;
  /** Its name; its address before it has said it. */
  name(): string;
  answers(): boolean;
  has(node: string): boolean;
  proxies(): Proxy[];
  sights(nowMs: number): Sight[];
  /** What a rollout is doing, as it said last. */
  rollout(name: string): RolloutProgress | undefined;
}

/**
 * A replica that died takes no proxy along: they connect to another within
 * seconds. Until then, and for this long, they count as proxies that are behind.
 */
const graceMs = 60_000;

/** @param address where it is followed, as shown while it has not said its name */
export function createPeer(address: string, startedMs: number): Peer {
  const proxies = new Map<string, PeerProxy>();
  const editions = new Map<string, ReadonlyMap<string, string>>();
  const rollouts = new Map<string, RolloutProgress>();
  let name: string | undefined;
  let lostMs: number | undefined = startedMs;

  function forget(): void {
    proxies.clear();
    editions.clear();
    rollouts.clear();
  }

  return {
    take(update) {
      // A new stream begins with everything.
      if (lostMs !== undefined) forget();
      lostMs = undefined;
      name = update.replica;
      for (const { scope, etags } of update.editions)
        editions.set(scope.join(), new Map(Object.entries(etags)));
      for (const node of update.gone) proxies.delete(node);
      for (const each of update.rollouts) rollouts.set(rolloutName(each), each);
      for (const each of update.proxies) if (each.proxy) proxies.set(each.proxy.node, each);
    },
    lost(nowMs) {
      lostMs ??= nowMs;
    },
    name: () => name ?? address,
    answers: () => lostMs === undefined,
    rollout: (each) => rollouts.get(each),
    has: (node) => proxies.has(node),
    proxies: () =>
      [...proxies.values()].flatMap(({ proxy }) =>
        proxy ? [{ ...proxy, replica: name ?? address }] : [],
      ),
    sights(nowMs) {
      if (lostMs !== undefined && nowMs - lostMs > graceMs) return [];
      const silence = lostMs === undefined ? undefined : `the replica ${name ?? address} is silent`;
      if (silence && name === undefined)
        return [{ node: address, scope: ["*"], etags: undefined, lag: { reason: silence } }];
      return [...proxies].map(([node, { scope, lag }]) => ({
        node,
        scope,
        etags: silence ? undefined : editions.get(scope.join()),
        lag: silence ? { reason: silence } : lag,
      }));
    },
  };
}

/** Name of the route that a rollout moves. */
export function rolloutName({ state }: RolloutProgress): string {
  const { namespace = "", name = "" } = state?.rollout?.metadata ?? {};
  return `${namespace || "default"}/${name}`;
}
