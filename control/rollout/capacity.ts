import type { RolloutSpec, RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { type GateStatus, nextStage } from "./machine.ts";
import type { PodLoad, PodLoads } from "./pod-loads.ts";
import { stageAt } from "./stages.ts";

/** Tells whether a step fits the pods, by what they say about themselves. */
export function createCapacity(
  loadOf: PodLoads,
): (state: RolloutState, route: RouteState) => GateStatus[] {
  return (state, { route }) => {
    const spec = state.rollout?.spec as RolloutSpec;
    if (spec.capacity === undefined) return [];
    const stage = stageAt(spec, state.step);
    const next = stage && nextStage(spec, stage);
    if (stage === undefined || next === undefined || next.weight <= stage.weight) return [];
    const endpoints = (name: string) =>
      route?.spec?.variants.find((each) => each.name === name)?.endpoints ?? [];
    const canary = endpoints(spec.canary).map((each) => [each, loadOf(each)] as const);
    const running = [...endpoints(spec.stable).map(loadOf), ...canary.map(([, load]) => load)]
      .flatMap((load) => (typeof load === "string" ? [] : [load.running]))
      .reduce((sum, each) => sum + each, 0);
    const pool = state.safeWeights[spec.stable] || 100;
    return capacityGates(spec, canary, (running * next.weight) / pool);
  };
}

/**
 * Whether the canary's pods can carry a step; pure.
 * @param inFlightAfter requests in work on all of them once the step is taken
 */
export function capacityGates(
  { capacity }: RolloutSpec,
  pods: readonly (readonly [string, PodLoad | string])[],
  inFlightAfter: number,
): GateStatus[] {
  if (capacity === undefined) return [];
  const ready = pods.flatMap(([, load]) => (typeof load === "string" ? [] : [load]));
  const silent = pods.find(([, load]) => typeof load === "string");
  const { readyEndpoints = 1, queueDepth, kvCachePercent, inFlight } = capacity;
  const gates: GateStatus[] = [];
  const gate = (name: string, value: number, limit: number, open: boolean, unit: string) =>
    gates.push({ name, open, words: `${round(value)}${unit}, the limit is ${limit}${unit}` });
  gates.push({
    name: "ready pods",
    open: ready.length >= readyEndpoints,
    words: `${ready.length} of at least ${readyEndpoints}${silent ? `: ${silent[0]} ${silent[1]}` : ""}`,
  });
  if (ready.length === 0) return gates;
  if (queueDepth !== undefined) {
    const waiting = ready.reduce((sum, each) => sum + each.waiting, 0) / ready.length;
    gate("queue", waiting, queueDepth, waiting <= queueDepth, " a pod");
  }
  if (kvCachePercent !== undefined) {
    const cache = 100 * Math.max(...ready.map((each) => each.cache));
    gate("kv cache", cache, kvCachePercent, cache <= kvCachePercent, " %");
  }
  if (inFlight !== undefined) {
    const each = inFlightAfter / ready.length;
    gate("in flight after the step", each, inFlight, each <= inFlight, " a pod");
  }
  return gates;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
