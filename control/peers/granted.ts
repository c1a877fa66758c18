import type { Load } from "../gen/weir/v1/report_pb.ts";
import type { Lease } from "../report/index.ts";

/** What an answer to a report may hold. */
export interface Grants {
  leases: Lease[];
  loads: Load[];
}

/** Shares of this replica's proxies that other replicas decided on, and loads of pods that they ask. */
export interface Granted {
  take(node: string, replica: string, grants: Grants): void;
  /** Those of lately. */
  of(node: string): Grants;
  /** Proxies that any are kept of. */
  size(): number;
}

/** A share that was not confirmed for this long is not sent again; its proxy keeps using it. */
const grantMs = 5_000;

export function createGranted(nowMs: () => number): Granted {
  /** By node and by the replica that decided, the node with the oldest update first. */
  const granted = new Map<string, Map<string, { grants: Grants; atMs: number }>>();

  function dropOld(): void {
    for (const [node, byReplica] of granted) {
      if ([...byReplica.values()].some(({ atMs }) => nowMs() - atMs < grantMs)) return;
      granted.delete(node);
    }
  }

  return {
    take(node, replica, grants) {
      const byReplica = granted.get(node) ?? new Map();
      for (const [other, { atMs }] of byReplica)
        if (nowMs() - atMs >= grantMs) byReplica.delete(other);
      granted.delete(node);
      granted.set(node, byReplica.set(replica, { grants, atMs: nowMs() }));
      dropOld();
    },
    of(node) {
      const fresh = [...(granted.get(node)?.values() ?? [])].filter(
        ({ atMs }) => nowMs() - atMs < grantMs,
      );
      return {
        leases: fresh.flatMap(({ grants }) => grants.leases),
        loads: fresh.flatMap(({ grants }) => grants.loads),
      };
    },
    size: () => granted.size,
  };
}
