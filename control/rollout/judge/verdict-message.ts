import type { Verdict } from "../../gen/weir/v1/rollout_pb.ts";

/** A verdict in one sentence; `minimum` answers of each variant are needed. */
export function messageOf(verdict: Verdict, minimum: number): string {
  const { check, outcome, canary, stable, limit, unit, canarySample, stableSample } = verdict;
  const sign = unit === "percent" ? " %" : ` ${unit}`;
  const numbers = `canary ${number(canary)}${sign}, stable ${number(stable)}${sign}, limit ${number(limit)}${sign}`;
  const sizes = `${Math.round(canarySample)} and ${Math.round(stableSample)} answers`;
  if (outcome === "missing") return `${check} missing: no response of the canary was measured`;
  if (outcome !== "inconclusive") return `${check} ${outcome}: ${numbers}, over ${sizes}`;
  const fewer = Math.min(canarySample, stableSample);
  if (fewer < minimum) return `${check}: ${numbers}, over ${sizes}; ${minimum} of each are needed`;
  return `${check} not clear yet: ${numbers}, over ${sizes}`;
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
