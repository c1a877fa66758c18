import { showTime } from "./duration.ts";
import { createPoll, createPolls, failureWords } from "./poll.ts";

/** What one pod says about itself. */
export interface PodLoad {
  running: number;
  waiting: number;
  /** 0 to 1. */
  cache: number;
}

/** The load of the pod at an endpoint, or why it is not known. */
export type PodLoads = (endpoint: string) => PodLoad | string;

const everyMs = 2_000;
const timeoutMs = 1_500;
const keptMs = 30_000;
const mostAgeMs = 10_000;
const mostBytes = 4 << 20;

/** Reads the /metrics of the pods that it is asked about, and goes on for as long as it is. */
export function createPodLoads(monotonicMs: () => number): PodLoads {
  const polls = createPolls<PodLoad | string>(keptMs, monotonicMs);
  return (endpoint) => {
    const latest = polls(endpoint, () =>
      createPoll<PodLoad | string>((signal) => ask(endpoint, signal), failureWords, {
        everyMs,
        timeoutMs,
        monotonicMs,
      }),
    ).latest();
    if (latest === undefined) return "has not answered yet";
    return latest.ageMs > mostAgeMs ? `answered ${showTime(latest.ageMs)} ago` : latest.value;
  };
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
