import type { RolloutSpec, RolloutStep } from "../../gen/weir/v1/rollout_pb.ts";
import { milliseconds } from "./duration.ts";

/** Absent spec.hold. */
const defaultHoldMs = 30_000;

export type StageKind = "warmup" | "weight" | "pause" | "header-only" | "shadow" | "bake";

/** One step with everything that it takes over from the ones before written out. */
export interface Stage {
  /** -1 is the warm-up, steps.length the bake. */
  index: number;
  kind: StageKind;
  /** The canary's percent of the users. */
  weight: number;
  /** Percent of the requests that is copied to the canary. */
  mirror: number;
  /** Tiers whose users are split, the others stay on the stable variant; undefined: all users are. */
  tiers: readonly string[] | undefined;
  /** How long it must stay proven; undefined: until someone promotes it. */
  holdMs: number | undefined;
  /** Whether the checks must pass before it is left; they can fail in every stage. */
  needsPass: boolean;
}

/** All stages of a rollout, in order. */
export function stagesOf(spec: RolloutSpec): Stage[] {
  const holdMs = milliseconds(spec.hold, defaultHoldMs);
  const stages: Stage[] = [];
  if (spec.warmup)
    stages.push({
      index: -1,
      kind: "warmup",
      weight: spec.warmup.weight,
      mirror: 0,
      tiers: firstTiers(spec),
      holdMs: milliseconds(spec.warmup.duration, 0),
      // Caches fill and kernels compile: what is slow now says little about later.
      needsPass: false,
    });
  let weight = spec.warmup?.weight ?? 0;
  let tiers = firstTiers(spec);
  spec.steps.forEach((step, index) => {
    if (step.action.case === "weight") {
      weight = step.action.value;
      tiers = tiersOf(step);
    } else if (step.action.case !== "pause") weight = 0;
    stages.push(stageOf(step, index, weight, tiers, holdMs));
  });
  stages.push({
    index: spec.steps.length,
    kind: "bake",
    weight,
    mirror: 0,
    tiers,
    holdMs: milliseconds(spec.bake, holdMs),
    needsPass: false,
  });
  return stages;
}

/** The stage of a number; undefined beyond the last. */
export function stageAt(spec: RolloutSpec, index: number): Stage | undefined {
  return stagesOf(spec).find((stage) => stage.index === index);
}

/** What a stage is, for people: "step 2 of 5: 20 % for canary". */
export function showStage(spec: RolloutSpec, stage: Stage): string {
  const of = `step ${stage.index + 1} of ${spec.steps.length}`;
  const whom = stage.tiers ? ` of ${stage.tiers.join(", ")}` : "";
  switch (stage.kind) {
    case "warmup":
      return `warm-up: ${stage.weight} %${whom} for ${spec.canary}`;
    case "weight":
      return `${of}: ${stage.weight} %${whom} for ${spec.canary}`;
    case "pause":
      return `${of}: pause at ${stage.weight} %${whom}`;
    case "header-only":
      return `${of}: ${spec.canary} only for requests that force it`;
    case "shadow":
      return `${of}: copies of ${stage.mirror} % to ${spec.canary}`;
    case "bake":
      return `bake at ${stage.weight} %${whom}`;
  }
}

function tiersOf({ tiers }: RolloutStep): readonly string[] | undefined {
  return tiers.length > 0 ? tiers : undefined;
}

/** Whom the warm-up is for: those of the first weight. */
function firstTiers({ steps }: RolloutSpec): readonly string[] | undefined {
  const first = steps.find(({ action }) => action.case === "weight");
  return first && tiersOf(first);
}

function stageOf(
  { action, hold }: RolloutStep,
  index: number,
  weight: number,
  tiers: readonly string[] | undefined,
  holdMs: number,
): Stage {
  const base = { index, weight, tiers, mirror: 0, needsPass: true };
  const timed = (duration: Parameters<typeof milliseconds>[0]) =>
    duration === undefined ? undefined : milliseconds(duration, 0);
  switch (action.case) {
    case "pause":
      return {
        ...base,
        kind: "pause",
        holdMs: timed(action.value.duration),
        needsPass: weight > 0,
      };
    case "headerOnly":
      return { ...base, kind: "header-only", holdMs: timed(action.value.duration) };
    case "shadow":
      return {
        ...base,
        kind: "shadow",
        mirror: action.value.percent,
        holdMs: timed(action.value.duration),
      };
    default:
      return { ...base, kind: "weight", holdMs: milliseconds(hold, holdMs), needsPass: weight > 0 };
  }
}
