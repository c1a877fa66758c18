import type { RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../gen/weir/v1/service_pb.ts";

/** Everything that a store keeps. */
export interface Contents {
  /** By name, "namespace/name". */
  routes: ReadonlyMap<string, RouteState>;
  rollouts: ReadonlyMap<string, RolloutState>;
  /** Oldest first. */
  entries: readonly AuditEntry[];
  sequence: bigint;
}
