import { EtcdError } from "../../etcd/index.ts";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { Keys } from "./layout.ts";

/** Everything as of one write. */
export interface Copy {
  routes: ReadonlyMap<string, RouteState>;
  rollouts: ReadonlyMap<string, RolloutState>;
  sequence: bigint;
}

/**
 * Numbers only grow. Where etcd has a lower one than this process has seen, its data
 * was lost or replaced: what is known stays in force until it is back, or until
 * someone begins anew with it by a restart.
 * @throws EtcdError
 */
export function checkGrown({ sequence }: Keys, known: bigint, found: bigint): void {
  if (found >= known) return;
  throw new EtcdError(
    `etcd has lost changes: its ${sequence} is ${found} and was ${known}; restore its data, or import a backup under another prefix`,
    true,
  );
}
