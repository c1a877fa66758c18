import { create } from "@bufbuild/protobuf";
import {
  PinnedTenantSchema,
  type RolloutSpec,
  type RolloutState,
  type Verdict,
} from "../../gen/weir/v1/rollout_pb.ts";
import { type Stage, showStage } from "../plan/stages.ts";

/** What to do: nothing yet, or one write. */
export type Decision =
  | { kind: "wait"; waitingFor: string[]; next: string }
  | { kind: "write"; state: RolloutState; action: string; reason: string; movesWeights: boolean };

/** The state of being on a stage. */
export function enter(
  state: RolloutState,
  spec: RolloutSpec,
  stage: Stage,
  verdicts: readonly Verdict[],
): Decision {
  const reason = showStage(spec, stage);
  return {
    kind: "write",
    state: changed(state, verdicts, (after) => {
      after.phase = "running";
      after.step = stage.index;
      after.weight = stage.weight;
      after.reason = reason;
      after.shifts++;
    }),
    action: "rollout-step",
    reason,
    movesWeights: true,
  };
}

/** Gives the canary's users back, for a reason. */
export function rollback(
  state: RolloutState,
  reason: string,
  verdicts: readonly Verdict[],
): Decision {
  return { kind: "write", ...rolledBack(state, reason, verdicts) };
}

/** The rollback, for the machine and for the command. */
export function rolledBack(state: RolloutState, reason: string, verdicts: readonly Verdict[]) {
  return {
    state: changed(state, verdicts, (after) => {
      after.phase = "rolling-back";
      after.weight = 0;
      after.reason = reason;
      after.shifts++;
      delete after.promoted;
    }),
    action: "rollout-rollback",
    reason,
    movesWeights: true,
  };
}

/** Pins the tenants with worse results to the stable variant; evidence for the rest starts again from zero. */
export function pin(
  state: RolloutState,
  worse: readonly Verdict[],
  verdicts: readonly Verdict[],
): Decision {
  const pins = worse.map(({ tenant, message }) =>
    create(PinnedTenantSchema, { tenant, reason: message, step: state.step }),
  );
  const { stable = "" } = state.rollout?.spec ?? {};
  return {
    kind: "write",
    state: changed(state, [...verdicts, ...worse], (after) => {
      after.pins = [...state.pins, ...pins];
      after.shifts++;
    }),
    action: "rollout-pin",
    reason: `pinned to ${stable}: ${worse.map(({ message }) => message).join("; ")}`,
    movesWeights: true,
  };
}

/** Stands still until someone looks. */
export function pause(state: RolloutState, reason: string, verdicts: readonly Verdict[]): Decision {
  return {
    kind: "write",
    state: changed(state, verdicts, (after) => {
      after.phase = "paused";
      after.reason = reason;
    }),
    action: "rollout-pause",
    reason,
    movesWeights: false,
  };
}

/** Nothing more happens. */
export function end(
  state: RolloutState,
  phase: "succeeded" | "rolled-back" | "abandoned",
  reason: string,
  verdicts: readonly Verdict[],
): Decision {
  return {
    kind: "write",
    state: changed(state, verdicts, (after) => {
      after.phase = phase;
      after.reason = reason;
    }),
    action: "rollout-end",
    reason,
    movesWeights: false,
  };
}

/** A copy with the verdicts that decided; an empty list keeps those of before, whose limits may still serve. */
function changed(
  state: RolloutState,
  verdicts: readonly Verdict[],
  change: (after: RolloutState) => void,
): RolloutState {
  // What is nested in a state is never changed, only replaced.
  const after = { ...state };
  if (verdicts.length > 0) after.verdicts = [...verdicts];
  change(after);
  return after;
}
