import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";

/** Whether nothing happens any more and a new rollout may start. */
export function hasEnded({ phase }: Pick<RolloutState, "phase">): boolean {
  return phase === "succeeded" || phase === "rolled-back" || phase === "abandoned";
}
