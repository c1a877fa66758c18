import { type AppliedContext, appliedIn } from "../../api/index.ts";
import { nobodyConnected } from "../../leader/index.ts";
import { type Registry, withPods } from "../../registration/index.ts";
import { createEngine, type createSources, type Engine } from "../../rollout/index.ts";
import type { Store } from "../../store/index.ts";
import type { ServedFleet } from "./fleet.ts";
import type { ServerOptions } from "./options.ts";
import type { Replicas } from "./replicas.ts";

export interface RolloutInputs {
  store: Store;
  replicas: Replicas;
  served: Pick<ServedFleet, "fleet" | "reports">;
  /** What routes are compared with. */
  scoped: AppliedContext;
  sources: ReturnType<typeof createSources>;
  registry: Registry;
  /** Whether whoever reads the audit of a route may see a namespace. */
  sees(namespace: string, route: string): boolean;
}

/** Makes what walks the rollouts, on the replica that leads. */
export function openRollouts(
  { monotonicMs = () => performance.now(), log }: ServerOptions,
  { store, replicas, served, scoped, sources, registry, sees }: RolloutInputs,
): Engine {
  const { name: replica, leader, peers } = replicas;
  const { ledger } = served.reports;
  return createEngine({
    store,
    leadership: leader.current,
    others: {
      progress: (name) => peers.rollout(name, leader.holder()),
      onProgress: peers.onRollout,
      leader: leader.holder,
    },
    fleet: {
      applied: (name, state) => appliedIn(scoped, sees)(name, state),
      observation: ledger.observation,
      tenants: ledger.tenants,
      voices: ledger.voices,
      silentMs: () => Math.min(served.fleet.silentMs(), peers.silentMs()),
      nobody: () => nobodyConnected(replica, leader.current()?.fence, peers.names()),
    },
    ...sources,
    gates: (name, state, route) => sources.gates?.(name, state, withPods(route, registry)) ?? [],
    monotonicMs,
    now: () => new Date(),
    log,
  });
}
