import { clone, create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Rollout,
  type RolloutSpec,
  type RolloutState,
  RolloutStateSchema,
} from "../../gen/weir/v1/rollout_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../../route/index.ts";
import { showStage, stagesOf } from "../plan/stages.ts";
import { poolOf } from "../plan/validate.ts";
import { rolledBack } from "./moves.ts";
import { hasEnded } from "./phase.ts";

/** What can be asked of a rollout. */
export type Command =
  | { kind: "pause" }
  | { kind: "resume" }
  | { kind: "promote"; full: boolean }
  | { kind: "rollback" };

/** A write that a command asks for, or why it cannot be done now. */
export type Answer =
  | { state: RolloutState; action: string; movesWeights: boolean }
  | { refusal: string };

/**
 * The state of a rollout at its first stage.
 * @throws RangeError for a rollout without stages, which no valid one is
 */
export function begin(rollout: Rollout, route: InferenceRoute, now: Date): RolloutState {
  const spec = rollout.spec as RolloutSpec;
  const first = stagesOf(spec)[0];
  if (first === undefined) throw new RangeError("a rollout must have at least its bake");
  return create(RolloutStateSchema, {
    rollout,
    phase: "running",
    step: first.index,
    weight: first.weight,
    reason: showStage(spec, first),
    safeWeights: { [spec.canary]: 0, [spec.stable]: poolOf(spec, route) },
    ...(route.spec?.shadow ? { safeShadow: route.spec.shadow } : {}),
    salt: saltOf(spec, route, now),
    started: timestampFromDate(now),
    stepStarted: timestampFromDate(now),
    shifts: 1,
  });
}

/**
 * A salt that no rollout of any route had before; none where it would move anyone who
 * does not go to the canary: while more than one variant has users.
 */
function saltOf(spec: RolloutSpec, route: InferenceRoute, now: Date): string {
  const used = route.spec?.variants.filter(({ weight }) => weight > 0) ?? [];
  const laysOut = spec.salt === "fresh" && used.every(({ name }) => name === spec.stable);
  return laysOut ? `${routeName(route).slice(0, 100)} ${now.toISOString()}` : "";
}

/**
 * The state after a command, or why the command is refused. A rollback is refused only where there
 * is nothing to take back.
 */
export function command(state: RolloutState, asked: Command, reason: string): Answer {
  if (hasEnded(state))
    return { refusal: `the rollout has ended (${state.phase}: ${state.reason})` };
  if (asked.kind === "rollback") return rolledBack(state, reason || "rolled back by hand", []);
  if (state.phase === "rolling-back")
    return { refusal: `the rollout is already rolling back: ${state.reason}` };
  switch (asked.kind) {
    case "pause":
      if (state.phase === "paused") return { refusal: `already paused: ${state.reason}` };
      return changed(state, "rollout-pause", false, (after) => {
        after.phase = "paused";
        after.reason = reason || "paused by hand";
      });
    case "resume":
      if (state.phase !== "paused") return { refusal: "the rollout is not paused" };
      return changed(state, "rollout-resume", true, (after) => {
        after.phase = "running";
        after.reason = reason || "resumed by hand";
      });
    case "promote":
      return changed(state, "rollout-promote", true, (after) => {
        const last = after.rollout?.spec?.steps.length ?? 0;
        after.phase = "running";
        after.promoted = asked.full ? last : state.step;
        after.reason = reason || "promoted by hand";
      });
  }
}

function changed(
  state: RolloutState,
  action: string,
  movesWeights: boolean,
  change: (after: RolloutState) => void,
): Answer {
  const after = clone(RolloutStateSchema, state);
  change(after);
  return { state: after, action, movesWeights };
}
