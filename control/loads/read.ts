import type { Buffer } from "node:buffer";

/** The load that one pod reports. */
export interface PodLoad {
  /** Which server it is, by the names it uses; as in spec.server. */
  server: string;
  /** Requests in work; undefined where the pod does not tell: then it may be anything. */
  running: number | undefined;
  /** Requests that wait; undefined likewise. */
  waiting: number | undefined;
  /** Use of the key-value cache, 0 to 1; undefined likewise. */
  cache: number | undefined;
}

/** Names of one model server's gauges, in Prometheus' text format. */
export interface Family {
  server: string;
  running?: string;
  waiting: string;
  cache?: string;
}

/** The inference servers whose metrics are known; the name of the metric of waiting requests identifies each. */
const families: readonly Family[] = [
  {
    server: "vllm",
    running: "vllm:num_requests_running",
    waiting: "vllm:num_requests_waiting",
    cache: "vllm:kv_cache_usage_perc",
  },
  {
    server: "vllm",
    running: "vllm:num_requests_running",
    waiting: "vllm:num_requests_waiting",
    cache: "vllm:gpu_cache_usage_perc",
  },
  {
    server: "sglang",
    running: "sglang:num_running_reqs",
    waiting: "sglang:num_queue_reqs",
    cache: "sglang:token_usage",
  },
  {
    server: "llama.cpp",
    running: "llamacpp:requests_processing",
    waiting: "llamacpp:requests_deferred",
    cache: "llamacpp:kv_cache_usage_ratio",
  },
  { server: "tgi", running: "tgi_batch_current_size", waiting: "tgi_queue_size" },
  { server: "triton", waiting: "nv_inference_pending_request_count" },
];

const newline = 0x0a;
const [space, brace, tab] = [0x20, 0x7b, 0x09];
/** Longest line that is looked at: beyond it is no gauge of ours. */
const maxLine = 4096;

/**
 * Reads a pod's metrics. Of some 60 kB a handful of lines matter, so that only these
 * are made text of; several models of one server add up.
 * @param known family that the pod spoke last, tried first
 * @throws Error if the metrics belong to no known server
 */
export function readLoad(bytes: Buffer, known?: Family): PodLoad & { family: Family } {
  let found: (PodLoad & { family: Family }) | undefined;
  for (const family of known ? [known, ...families] : families) {
    const waiting = valuesOf(bytes, family.waiting);
    const running = family.running ? valuesOf(bytes, family.running) : [];
    if (waiting.length === 0 && running.length === 0) continue;
    const cache = family.cache ? valuesOf(bytes, family.cache) : [];
    const load = {
      family,
      server: family.server,
      running: sum(running),
      waiting: sum(waiting),
      cache: cache.length === 0 ? undefined : Math.max(...cache),
    };
    found ??= load;
    // Two versions of one server differ in a single name.
    if (family === known || family.cache === undefined || cache.length > 0) return load;
  }
  if (found === undefined) {
    const known = [...new Set(families.map(({ server }) => server))].join(", ");
    throw new Error(`has no load metrics that weir knows: ${known}`);
  }
  return found;
}

function sum(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((all, each) => all + each, 0);
}

/** The samples of a gauge; Prometheus' format has them one after the other. */
function valuesOf(bytes: Buffer, name: string): number[] {
  const values: number[] = [];
  for (let at = startOf(bytes, name, 0); at >= 0; at = startOf(bytes, name, at + 1)) {
    const end = bytes.indexOf(newline, at);
    const line = bytes.toString("latin1", at + name.length, end < 0 ? bytes.length : end);
    const value = line.length > maxLine ? Number.NaN : valueIn(line);
    if (Number.isFinite(value) && value >= 0) values.push(value);
    // What follows at once is the next sample, or there is none.
    if (end < 0 || !isAt(bytes, name, end + 1)) return values;
  }
  return values;
}

/** The value behind the labels, in which a brace may stand. */
function valueIn(line: string): number {
  const [value] = line
    .slice(line.lastIndexOf("}") + 1)
    .trim()
    .split(/[ \t]+/);
  return value ? Number(value) : Number.NaN;
}

/** Where a line of a gauge of this very name begins. */
function startOf(bytes: Buffer, name: string, from: number): number {
  if (from === 0 && isAt(bytes, name, 0)) return 0;
  for (let at = bytes.indexOf(`\n${name}`, Math.max(0, from - 1)); at >= 0; ) {
    if (isAt(bytes, name, at + 1)) return at + 1;
    at = bytes.indexOf(`\n${name}`, at + 1);
  }
  return -1;
}

function isAt(bytes: Buffer, name: string, at: number): boolean {
  const behind = bytes[at + name.length];
  if (behind !== space && behind !== brace && behind !== tab) return false;
  return bytes.toString("latin1", at, at + name.length) === name;
}
