import type { RolloutSpec, RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { PodLoad, PodLoads } from "../../loads/index.ts";
import { type GateStatus, nextStage } from "../machine/machine.ts";
import { stageAt } from "../plan/stages.ts";

/** Checks whether a step fits the pods, by their metrics. */
export function createCapacity({
  of: loadOf,
}: PodLoads): (state: RolloutState, route: RouteState) => GateStatus[] {
  return (state, { route }) => {
    const spec = state.rollout?.spec as RolloutSpec;
    if (spec.capacity === undefined) return [];
    const stage = stageAt(spec, state.step);
    const next = stage && nextStage(spec, stage);
    if (stage === undefined || next === undefined || next.weight <= stage.weight) return [];
    const endpoints = (name: string) =>
      route?.spec?.variants.find((each) => each.name === name)?.endpoints ?? [];
    const loads = (name: string) => endpoints(name).map((each) => [each, loadOf(each)] as const);
    const canary = loads(spec.canary);
    const pods = [...loads(spec.stable), ...canary];
    const running = pods.reduce(
      (sum, [, load]) => sum + (typeof load === "string" ? 0 : (load.running ?? Number.NaN)),
      0,
    );
    // The requests of a pod without metrics may move to the other pods.
    const silent = pods.find(([, load]) => typeof load === "string");
    const pool = state.safeWeights[spec.stable] || 100;
    const after = (running * next.weight) / pool;
    return capacityGates(spec, canary, silent ? `${silent[0]} ${silent[1]}` : after);
  };
}

/**
 * Whether the canary's pods can carry a step; pure.
 * @param inFlightAfter requests in work on all of them once the step is taken, or why that is not known
 */
export function capacityGates(
  { capacity }: RolloutSpec,
  pods: readonly (readonly [string, PodLoad | string])[],
  inFlightAfter: number | string,
): GateStatus[] {
  if (capacity === undefined) return [];
  const ready = pods.flatMap(([, load]) => (typeof load === "string" ? [] : [load]));
  const silent = pods.find(([, load]) => typeof load === "string");
  const { readyEndpoints = 1, queueDepth, kvCachePercent, inFlight } = capacity;
  const gates: GateStatus[] = [];
  // A value that a pod does not report is unknown.
  const gate = (name: string, value: number, limit: number, unit: string) =>
    gates.push({
      name,
      open: value <= limit,
      message: `${Number.isNaN(value) ? "not reported by every pod" : `${round(value)}${unit}`}, the limit is ${limit}${unit}`,
    });
  gates.push({
    name: "ready pods",
    open: ready.length >= readyEndpoints,
    message: `${ready.length} of at least ${readyEndpoints}${silent ? `: ${silent[0]} ${silent[1]}` : ""}`,
  });
  if (ready.length === 0) return gates;
  if (queueDepth !== undefined) {
    const waiting =
      ready.reduce((sum, each) => sum + (each.waiting ?? Number.NaN), 0) / ready.length;
    gate("queue", waiting, queueDepth, " a pod");
  }
  if (kvCachePercent !== undefined) {
    const cache = 100 * Math.max(...ready.map((each) => each.cache ?? Number.NaN));
    gate("kv cache", cache, kvCachePercent, " %");
  }
  if (inFlight !== undefined) {
    const name = "in flight after the step";
    if (typeof inFlightAfter === "string")
      gates.push({ name, open: false, message: `unknown: ${inFlightAfter}` });
    else gate(name, inFlightAfter / ready.length, inFlight, " a pod");
  }
  return gates;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
