import { Buffer } from "node:buffer";
import { Agent, get } from "node:http";
import { errorText } from "../text/error-text.ts";
import { type Family, type PodLoad, readLoad } from "./read.ts";

/** The load of pods by their own metrics. */
export interface PodLoads {
  /** The load of the pod at an endpoint, or why it is not known. */
  of(endpoint: string): PodLoad | string;
  /** Resolves once the pod has been asked and has answered, or is not going to. */
  asked(endpoint: string): Promise<void>;
}

const everyMs = 1_000;
const timeoutMs = 1_500;
const keptMs = 30_000;
const maxAgeMs = 5_000;
const maxBytes = 4 << 20;
/** Pods that are asked at the same time: where the machine is slow they are asked less often, not given up. */
const maxAtOnce = 64;

interface Pod {
  usedMs: number;
  askedMs: number;
  asking: boolean;
  family: Family | undefined;
  newest: { load: PodLoad | string; atMs: number } | undefined;
  /** Resolves with the first answer. */
  answered: Promise<void>;
  answer(): void;
}

/**
 * Reads the /metrics of the pods that it is asked about, each once a second over a
 * connection that stays open, and goes on for as long as it is asked.
 */
export function createPodLoads(monotonicMs: () => number): PodLoads {
  const pods = new Map<string, Pod>();
  const agent = new Agent({ keepAlive: true, maxSockets: 1, scheduling: "fifo" });
  const due: (() => Promise<void>)[] = [];
  let running = 0;
  let sweptMs = monotonicMs();

  async function start(): Promise<void> {
    running++;
    for (let next = due.shift(); next; next = due.shift()) await next();
    running--;
  }

  function sweep(nowMs: number): void {
    if (nowMs - sweptMs < everyMs) return;
    sweptMs = nowMs;
    for (const [endpoint, { usedMs, asking }] of pods)
      if (!asking && nowMs - usedMs > keptMs) pods.delete(endpoint);
  }

  async function askNow(endpoint: string, pod: Pod): Promise<void> {
    pod.askedMs = monotonicMs();
    let load: PodLoad | string;
    try {
      const { family, ...read } = readLoad(await metricsOf(endpoint, agent), pod.family);
      pod.family = family;
      load = read;
    } catch (error) {
      load = errorText(error);
    }
    pod.newest = { load, atMs: monotonicMs() };
    pod.asking = false;
    pod.answer();
  }

  /** A pod, which is asked if that is due. */
  function podAt(endpoint: string): Pod {
    const nowMs = monotonicMs();
    sweep(nowMs);
    const known = pods.get(endpoint);
    const pod = known ?? newPod(nowMs);
    if (known === undefined) pods.set(endpoint, pod);
    pod.usedMs = nowMs;
    if (!pod.asking && nowMs - pod.askedMs >= everyMs) {
      pod.asking = true;
      due.push(() => askNow(endpoint, pod));
      if (running < maxAtOnce) void start();
    }
    return pod;
  }

  return {
    of(endpoint) {
      const { newest } = podAt(endpoint);
      if (newest === undefined) return "has not answered yet";
      const ageMs = monotonicMs() - newest.atMs;
      return ageMs > maxAgeMs ? `answered ${Math.round(ageMs / 1000)} s ago` : newest.load;
    },
    asked: (endpoint) => podAt(endpoint).answered,
  };
}

function newPod(nowMs: number): Pod {
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  return {
    usedMs: nowMs,
    askedMs: Number.NEGATIVE_INFINITY,
    asking: false,
    family: undefined,
    newest: undefined,
    answered,
    answer,
  };
}

function metricsOf(endpoint: string, agent: Agent): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(`http://${endpoint}`);
    const request = get({
      agent,
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port || 80,
      path: "/metrics",
      headers: { host: endpoint, accept: "text/plain", "accept-encoding": "identity" },
    });
    const late = setTimeout(() => request.destroy(new Error("no answer in time")), timeoutMs);
    request.on("error", (error) => {
      clearTimeout(late);
      reject(error);
    });
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > maxBytes)
          request.destroy(new Error(`sends more than ${maxBytes} bytes of metrics`));
      });
      response.on("error", reject);
      response.on("end", () => {
        clearTimeout(late);
        if (response.statusCode === 200) resolve(Buffer.concat(chunks, size));
        else reject(new Error(`answered /metrics with status ${response.statusCode}`));
      });
    });
  });
}
