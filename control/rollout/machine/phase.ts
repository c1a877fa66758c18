import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";

/** Phases of a rollout, as RolloutState.phase has them; the last three are ends. */
export const phases = [
  "running",
  "paused",
  "rolling-back",
  "succeeded",
  "rolled-back",
  "abandoned",
] as const;

/** Values of RolloutState.phase. */
export type Phase = (typeof phases)[number];

/** Whether nothing happens any more and a new rollout may start. */
export function hasEnded({ phase }: Pick<RolloutState, "phase">): boolean {
  return phase === "succeeded" || phase === "rolled-back" || phase === "abandoned";
}
