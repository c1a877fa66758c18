import type { FollowResponse, PeerProxy } from "../gen/weir/v1/peer_pb.ts";
import type { RolloutProgress } from "../gen/weir/v1/rollout_pb.ts";
import type { Proxy, ProxyLag } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import type { ProxyView } from "./proxy-view.ts";

/** What is known of one other replica's proxies. */
export interface Peer {
  take(update: FollowResponse): void;
  /** The stream broke: from now on its last state is used. */
  lost(nowMs: number): void;
  /** Its name; its address until the name is known. */
  name(): string;
  answers(): boolean;
  has(node: string): boolean;
  proxies(): Proxy[];
  proxyViews(nowMs: number): ProxyView[];
  /** Last progress of a rollout that it sent. */
  rollout(name: string): RolloutProgress | undefined;
  /** Sizes of what is kept, for tests of its bounds. */
  sizes(): Record<string, number>;
}

/**
 * A replica that died takes no proxy along: they connect to another within
 * seconds. Until then, and for this long, they count as proxies that are behind.
 */
const graceMs = 60_000;
/** Maximum number of rollouts, and of scopes without a proxy; the oldest are dropped first. */
const maxRollouts = 10_000;
const maxIdleScopes = 100;

/** @param address of the replica, shown until its name is known */
export function createPeer(address: string, startedMs: number): Peer {
  const proxies = new Map<string, PeerProxy>();
  const editions = new Map<string, Pick<ProxyView, "etags" | "held">>();
  const rollouts = new Map<string, RolloutProgress>();
  let name: string | undefined;
  let lostMs: number | undefined = startedMs;

  function forget(): void {
    proxies.clear();
    editions.clear();
    rollouts.clear();
  }

  function prune(): void {
    for (const [oldest] of rollouts) {
      if (rollouts.size <= maxRollouts) break;
      rollouts.delete(oldest);
    }
    if (editions.size <= maxIdleScopes) return;
    // A scope may arrive shortly before its first proxy, so the newest ones are kept.
    const used = new Set([...proxies.values()].map(({ scope }) => scope.join()));
    const idle = [...editions.keys()].filter((scope) => !used.has(scope));
    for (const scope of idle.slice(0, Math.max(0, idle.length - maxIdleScopes)))
      editions.delete(scope);
  }

  return {
    take(update) {
      // A new stream begins with everything.
      if (lostMs !== undefined) forget();
      lostMs = undefined;
      name = update.replica;
      for (const { scope, etags, held } of update.editions) {
        editions.delete(scope.join());
        editions.set(scope.join(), {
          etags: new Map(Object.entries(etags)),
          held: new Map(Object.entries(held)),
        });
      }
      for (const node of update.gone) proxies.delete(node);
      for (const each of update.rollouts) {
        rollouts.delete(routeName(each.state?.rollout));
        rollouts.set(routeName(each.state?.rollout), each);
      }
      for (const each of update.proxies) if (each.proxy) proxies.set(each.proxy.node, each);
      prune();
    },
    lost(nowMs) {
      lostMs ??= nowMs;
    },
    name: () => name ?? address,
    answers: () => lostMs === undefined,
    rollout: (each) => rollouts.get(each),
    sizes: () => ({ proxies: proxies.size, editions: editions.size, rollouts: rollouts.size }),
    has: (node) => proxies.has(node),
    proxies: () =>
      [...proxies.values()].flatMap(({ proxy }) =>
        proxy ? [{ ...proxy, replica: name ?? address }] : [],
      ),
    proxyViews(nowMs) {
      if (lostMs !== undefined && nowMs - lostMs > graceMs) return [];
      const silence =
        lostMs === undefined ? undefined : `the replica ${name ?? address} does not answer`;
      if (silence && name === undefined)
        return [
          {
            node: address,
            scope: ["*"],
            etags: undefined,
            held: undefined,
            lag: { reason: silence },
          },
        ];
      return [...proxies].map(([node, { scope, lag, brief, concerns }]) => {
        const edition = silence ? undefined : editions.get(scope.join());
        return {
          node,
          scope,
          etags: edition?.etags,
          held: edition?.held,
          lag: silence
            ? { reason: silence }
            : lag && { ...lagOf(lag), ...(brief === "" ? {} : { brief, concerns }) },
        };
      });
    },
  };
}

const lagOf = ({ reason, refused, refusedBefore }: ProxyLag) => ({
  reason,
  refused,
  refusedBefore,
});
