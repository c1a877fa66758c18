import type { RolloutSpec, RolloutState, Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { TenantVerdicts } from "../judge/tenants.ts";
import { milliseconds, showTime } from "../plan/duration.ts";
import { driftOf } from "../plan/route-for-step.ts";
import { type Stage, showStage, stageAt, stagesOf } from "../plan/stages.ts";
import { isMeasured } from "../plan/validate.ts";
import { type Decision, end, enter, pause, pin, rollback } from "./moves.ts";
import { hasEnded } from "./phase.ts";
import type { ProofStatus } from "./proof.ts";

/** One thing that must be open before the next step. */
export interface GateStatus {
  name: string;
  open: boolean;
  /** What it waits for, or why it wants to go back. */
  message: string;
  /** The gate asks to go back. */
  rollback?: boolean;
}

/**
 * All that the machine looks at. Times are differences of a clock that never jumps,
 * measured in this process: after a restart they begin at zero.
 */
export interface StepInputs {
  route: RouteState | undefined;
  proof: ProofStatus;
  /** Since the step was proven; undefined before. */
  provenMs: number | undefined;
  /** Since the step began, by the stored time for as long as that is believable: for pauses. */
  stepMs: number;
  /** Since the canary's weight grew last. */
  sinceGrowthMs: number;
  verdicts: readonly Verdict[];
  tenants: TenantVerdicts;
  /** For how long a verdict has been inconclusive, and missing. */
  inconclusiveMs: number;
  blindMs: number;
  gates: readonly GateStatus[];
}

/** Why a rollout pauses when its route was edited so that responses are no longer measured. */
const unmeasured =
  "the proxies no longer measure the route's responses: set spec.tokens.measure of the route to true, then resume";
const defaultPatienceMs = 600_000;
const defaultBlindMs = 120_000;

/**
 * The next move of a rollout. Pure: the same state and inputs give the same move.
 * What leads back comes before what leads on, and without fresh proof and
 * evidence nothing leads on.
 */
export function decide(state: RolloutState, inputs: StepInputs): Decision {
  if (hasEnded(state)) return { kind: "wait", waitingFor: [], next: state.phase };
  if (inputs.route === undefined)
    return end(state, "abandoned", "the route was deleted", inputs.verdicts);
  if (state.phase === "rolling-back") return goBack(state, inputs);
  return (
    retreat(state, inputs) ??
    halt(state, inputs) ??
    advance(state, inputs, state.rollout?.spec as RolloutSpec)
  );
}

function goBack(state: RolloutState, { route, proof, verdicts }: StepInputs): Decision {
  if (driftOf(state, route) !== undefined)
    return {
      kind: "write",
      state,
      action: "rollout-rollback",
      reason: "the weights were changed during the rollback",
      movesWeights: true,
    };
  if (proof.status !== "pending")
    return end(
      state,
      "rolled-back",
      proof.status === "proven" ? state.reason : `${state.reason} (${proof.message})`,
      verdicts,
    );
  return { kind: "wait", waitingFor: [proof.message], next: "rolled back" };
}

/** Reasons to go back, the plainest first. */
function retreat(state: RolloutState, inputs: StepInputs): Decision | undefined {
  const spec = state.rollout?.spec as RolloutSpec;
  const { proof, verdicts } = inputs;
  if (proof.status === "refused") return rollback(state, proof.message, verdicts);
  if (proof.status === "overdue" && spec.proof?.onDeadline === "rollback")
    return rollback(state, proof.message, verdicts);
  const { worse, tooMany } = inputs.tenants;
  // Where someone else has moved the weights, only the whole way back may undo that.
  const helps =
    worse.length > 0 && tooMany === undefined && driftOf(state, inputs.route) === undefined;
  const failed = verdicts.find(({ outcome }) => outcome === "fail");
  if (failed && !helps) return rollback(state, failed.message, verdicts);
  if (tooMany !== undefined) return rollback(state, tooMany, [...verdicts, ...worse]);
  const gate = inputs.gates.find((each) => each.rollback);
  if (gate) return rollback(state, `gate ${gate.name}: ${gate.message}`, verdicts);
  const missing = verdicts.find(({ outcome }) => outcome === "missing");
  if (missing && inputs.blindMs >= milliseconds(spec.analysis?.blind, defaultBlindMs))
    return rollback(
      state,
      `no measurements for ${showTime(inputs.blindMs)}: ${missing.message}`,
      verdicts,
    );
  return helps ? pin(state, worse, verdicts) : undefined;
}

/** Reasons to pause until someone resumes. */
function halt(state: RolloutState, inputs: StepInputs): Decision | undefined {
  if (state.phase === "paused")
    return { kind: "wait", waitingFor: [`resume or promotion: ${state.reason}`], next: "nothing" };
  const spec = state.rollout?.spec as RolloutSpec;
  const drift = driftOf(state, inputs.route);
  if (drift !== undefined) return pause(state, drift, inputs.verdicts);
  const route = inputs.route?.route;
  if (route && !isMeasured(route) && !isPromoted(state))
    return pause(state, unmeasured, inputs.verdicts);
  if (inputs.proof.status === "overdue" && spec.proof?.onDeadline !== "continue")
    return pause(state, inputs.proof.message, inputs.verdicts);
  const stage = stageAt(spec, state.step);
  if (!stage?.needsPass || stage.holdMs === undefined) return undefined;
  // The time that the step takes anyway costs no patience.
  const unclearMs = Math.min(inputs.inconclusiveMs, (inputs.provenMs ?? 0) - stage.holdMs);
  if (unclearMs < milliseconds(spec.analysis?.patience, defaultPatienceMs)) return undefined;
  const unclear = inputs.verdicts.find(({ outcome }) => outcome === "inconclusive");
  return unclear === undefined
    ? undefined
    : pause(
        state,
        `inconclusive for ${showTime(inputs.inconclusiveMs)}: ${unclear.message}`,
        inputs.verdicts,
      );
}

function advance(state: RolloutState, inputs: StepInputs, spec: RolloutSpec): Decision {
  const stage = stageAt(spec, state.step);
  if (stage === undefined) return end(state, "succeeded", allTaken(state), inputs.verdicts);
  const next = nextStage(spec, stage);
  const promoted = isPromoted(state);
  const waitingFor = [
    ...proofWaits(inputs),
    ...(promoted ? [] : [...timeWaits(stage, inputs), ...verdictWaits(stage, inputs)]),
    ...(next === undefined ? [] : rateWaits(spec, stage, next, inputs)),
    // Nothing new is sent to the pods by a bake or at the end.
    ...(next === undefined || next.kind === "bake" ? [] : gateWaits(inputs)),
  ];
  if (waitingFor.length > 0)
    return { kind: "wait", waitingFor, next: next ? showStage(spec, next) : "done" };
  if (next === undefined) return end(state, "succeeded", allTaken(state), inputs.verdicts);
  return enter(state, spec, next, inputs.verdicts);
}

/** Whether someone promoted the step without its evidence. */
function isPromoted({ promoted, step }: RolloutState): boolean {
  return promoted !== undefined && promoted >= step;
}

/** The stage after one; undefined after the last. */
export function nextStage(spec: RolloutSpec, { index }: Stage): Stage | undefined {
  return stagesOf(spec).find((each) => each.index > index);
}

function allTaken({ pins, rollout }: RolloutState): string {
  const all = "all steps are done";
  if (pins.length === 0) return all;
  const names = pins.map(({ tenant }) => tenant).join(", ");
  return `${all}; pinned to ${rollout?.spec?.stable} as before: ${names}`;
}

function proofWaits({ proof, provenMs }: StepInputs): string[] {
  if (proof.status === "overdue") return [];
  return provenMs === undefined || proof.status !== "proven" ? [proof.message] : [];
}

function timeWaits(
  { kind, holdMs, weight }: Stage,
  { provenMs = 0, stepMs }: StepInputs,
): string[] {
  if (holdMs === undefined) return ["a promotion"];
  // Nobody is at risk in a pause without users: the stored time counts, over restarts too.
  const passedMs = kind === "pause" || weight === 0 ? Math.max(provenMs, stepMs) : provenMs;
  const leftMs = holdMs - passedMs;
  return leftMs > 0 ? [`${showTime(leftMs)} more`] : [];
}

/** What must pass: the checks where they were asked for, and data in any case. */
function verdictWaits({ needsPass, kind }: Stage, { verdicts }: StepInputs): string[] {
  if (needsPass && verdicts.length === 0) return ["evidence"];
  return verdicts
    .filter(
      ({ outcome, canarySample }) =>
        outcome === "missing" ||
        (outcome !== "pass" && needsPass) ||
        (kind === "bake" && outcome === "inconclusive" && canarySample === 0),
    )
    .map(({ message }) => message);
}

function rateWaits(
  { maxPercentPerMinute }: RolloutSpec,
  stage: Stage,
  next: Stage,
  { sinceGrowthMs }: StepInputs,
): string[] {
  if (maxPercentPerMinute === undefined || next.weight <= stage.weight) return [];
  const leftMs = ((next.weight - stage.weight) / maxPercentPerMinute) * 60_000 - sinceGrowthMs;
  return leftMs > 0
    ? [`${showTime(leftMs)} more, because of maxPercentPerMinute ${maxPercentPerMinute}`]
    : [];
}

function gateWaits({ gates }: StepInputs): string[] {
  return gates.filter(({ open }) => !open).map(({ name, message }) => `${name}: ${message}`);
}
