import { create } from "@bufbuild/protobuf";
import {
  type RolloutProgress,
  RolloutProgressSchema,
  type RolloutState,
} from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, totalOf } from "../../report/index.ts";
import type { Window } from "../judge/compare.ts";
import type { StepInputs } from "../machine/machine.ts";
import type { Decision } from "../machine/moves.ts";

/** What is observed and decided, as clients see it. */
export function progressOf(
  state: RolloutState,
  { proof, verdicts, tenants }: StepInputs,
  decision: Decision,
  window: Window | undefined,
): RolloutProgress {
  const answers = (side: keyof Window) =>
    window ? totalOf(window[side], counterNames.responses) : 0;
  return create(RolloutProgressSchema, {
    state,
    waitingFor: decision.kind === "wait" ? decision.waitingFor : [],
    next: decision.kind === "wait" ? decision.next : decision.reason,
    verdicts: [...verdicts, ...tenants.suspects],
    proven: proof.applied,
    wanted: proof.wanted,
    canaryAnswers: answers("canary"),
    stableAnswers: answers("stable"),
  });
}
