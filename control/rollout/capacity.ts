import type { RolloutSpec, RolloutState } from "../gen/weir/v1/rollout_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { showTime } from "./duration.ts";
import { type GateStatus, nextStage } from "./machine.ts";
import { createPoll, createPolls, failureWords } from "./poll.ts";
import { stageAt } from "./stages.ts";

/** What one pod says about itself. */
export interface PodLoad {
  running: number;
  waiting: number;
  /** 0 to 1. */
  cache: number;
}

const everyMs = 2_000;
const timeoutMs = 1_500;
const keptMs = 30_000;
const mostAgeMs = 10_000;
const mostBytes = 4 << 20;

/** Reads the pods' /metrics and tells whether a step fits them. */
export function createCapacity(
  monotonicMs: () => number,
): (state: RolloutState, route: RouteState) => GateStatus[] {
  const polls = createPolls<PodLoad | string>(keptMs, monotonicMs);

  function loadOf(endpoint: string): PodLoad | string {
    const latest = polls(endpoint, () =>
      createPoll<PodLoad | string>((signal) => ask(endpoint, signal), failureWords, {
        everyMs,
        timeoutMs,
        monotonicMs,
      }),
    ).latest();
    if (latest === undefined) return "has not answered yet";
    return latest.ageMs > mostAgeMs ? `answered ${showTime(latest.ageMs)} ago` : latest.value;
  }

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

async function ask(endpoint: string, signal: AbortSignal): Promise<PodLoad> {
  const response = await fetch(`http://${endpoint}/metrics`, { signal, redirect: "error" });
  if (!response.ok) throw new Error(`answers its metrics with status ${response.status}`);
  const text = await response.text();
  if (text.length > mostBytes) throw new Error(`has ${text.length} bytes of metrics`);
  return readLoad(text);
}

/** Reads vLLM's gauges out of Prometheus' text format; several models of one server add up. @throws Error */
export function readLoad(text: string): PodLoad {
  const values = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([^ \\n]+)`, "gm"))]
      .map(([, value]) => Number(value))
      .filter(Number.isFinite);
  const sum = (name: string) => values(name).reduce((all, each) => all + each, 0);
  if (values("vllm:num_requests_running").length === 0)
    throw new Error("has no vllm:num_requests_running in its metrics");
  const cache = [...values("vllm:kv_cache_usage_perc"), ...values("vllm:gpu_cache_usage_perc")];
  return {
    running: sum("vllm:num_requests_running"),
    waiting: sum("vllm:num_requests_waiting"),
    cache: Math.max(0, ...cache),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
