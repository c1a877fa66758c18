import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { ask, type Outcome, type Question } from "./ask.ts";
import { arrivals, type Stage } from "./stages.ts";
import { createTally, type Summary, type Tally } from "./tally.ts";

/** What is sent, where to, and for how long. */
export interface LoadOptions {
  /** Origin of the gateway, such as "http://127.0.0.1:10000". */
  target: string;
  /** The rates, one stage after the other. */
  stages: readonly Stage[];
  /** Makes the nth request, from 0. */
  question: (n: number) => Question;
  /** Open at once, at most; a request due beyond it is not sent, and counted. */
  maxOpen: number;
  /** How long requests may still take after the last stage. */
  drainMs: number;
  /** Told about once a second. */
  progress?: (progress: Progress) => void;
  /** Ends the run early, with what was measured so far. */
  signal?: AbortSignal;
  /** Numbers from 0 to below 1, which spread the arrivals. Absent: Math.random. */
  random?: () => number;
}

/** What a run has done so far. */
export interface Progress {
  /** Number of the stage, from 0. */
  stage: number;
  stages: number;
  elapsedMs: number;
  totalMs: number;
  sent: number;
  /** Requests that are waiting for their answers. */
  open: number;
  soFar: Summary;
}

/** What one stage came to. */
export interface StageResult {
  requestsPerSecond: number;
  durationMs: number;
  sent: number;
  /** Due but not sent, because too many were open. */
  notSent: number;
  /** Longest that a request went out after it was due: how far this generator itself lagged. */
  latestMs: number;
  all: Summary;
  variants: Record<string, Summary>;
}

/** What a whole run came to. */
export interface LoadResult {
  target: string;
  /** When it began, as RFC 3339 has it. */
  startedAt: string;
  /** True when it was ended before its time. */
  cut: boolean;
  stages: StageResult[];
  total: Summary;
}

const progressMs = 1000;

/** Drives the stages one after the other, in an open loop: a slow answer delays no other request. */
export async function drive(options: LoadOptions): Promise<LoadResult> {
  const { target, stages, signal, random = Math.random } = options;
  const pool = new Pool(target, {
    connections: options.maxOpen,
    pipelining: 1,
    bodyTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 30_000,
  });
  const startedAt = new Date().toISOString();
  const total = createTally();
  const open = new Set<Promise<void>>();
  const totalMs = stages.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const begin = performance.now();
  const nowMs = () => performance.now();
  let sent = 0;
  let asked = 0;
  let stageNumber = 0;
  const timer = setInterval(() => {
    options.progress?.({
      stage: stageNumber,
      stages: stages.length,
      elapsedMs: nowMs() - begin,
      totalMs,
      sent,
      open: open.size,
      soFar: total.summary(),
    });
  }, progressMs);

  const running: { result: Omit<StageResult, "all" | "variants">; tallies: Tallies }[] = [];
  try {
    for (const stage of stages) {
      if (signal?.aborted) break;
      stageNumber++;
      const startMs = nowMs();
      const result = { ...stage, sent: 0, notSent: 0, latestMs: 0 };
      const tallies = createTallies();
      running.push({ result, tallies });
      for (const offsetMs of arrivals(stage, random)) {
        const dueMs = startMs + offsetMs;
        const aheadMs = dueMs - nowMs();
        // Timers are good to a millisecond: what is due sooner goes out at once.
        if (aheadMs > 1) await pause(aheadMs, signal);
        if (signal?.aborted) break;
        // Answers that have come make room, but only once they are read.
        if (open.size >= options.maxOpen) await turn();
        if (open.size >= options.maxOpen) {
          result.notSent++;
          continue;
        }
        result.latestMs = Math.max(result.latestMs, nowMs() - dueMs);
        result.sent++;
        sent++;
        const work = ask(pool, options.question(asked++), dueMs, nowMs).then((outcome) => {
          tallies.add(outcome);
          total.add(outcome);
        });
        const tracked: Promise<void> = work.finally(() => open.delete(tracked));
        open.add(tracked);
        // The answers must be read, too, while the generator is behind.
        if (sent % 32 === 0) await turn();
      }
      await pause(startMs + stage.durationMs - nowMs(), signal);
    }
    await Promise.race([Promise.all(open), sleep(options.drainMs, undefined, { ref: false })]);
  } finally {
    clearInterval(timer);
    await pool.destroy();
    await Promise.all(open);
  }
  return {
    target,
    startedAt,
    cut: signal?.aborted ?? false,
    stages: running.map(({ result, tallies }) => ({ ...result, ...tallies.summaries() })),
    total: total.summary(),
  };
}

/** Lets what waits in the event loop happen once. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, signal ? { signal } : {}).catch(() => {});
}

/** A stage's tallies: of all requests, and by the variant that answered. */
interface Tallies {
  add(outcome: Outcome): void;
  summaries(): Pick<StageResult, "all" | "variants">;
}

const maxVariants = 20;

function createTallies(): Tallies {
  const all = createTally();
  const variants = new Map<string, Tally>();
  return {
    add(outcome) {
      all.add(outcome);
      if (outcome.variant === "") return;
      let tally = variants.get(outcome.variant);
      if (tally === undefined) {
        if (variants.size >= maxVariants) return;
        tally = createTally();
        variants.set(outcome.variant, tally);
      }
      tally.add(outcome);
    },
    summaries: () => ({
      all: all.summary(),
      variants: Object.fromEntries(
        [...variants]
          .sort(([a], [b]) => a.localeCompare(b))
          .map(([name, tally]) => [name, tally.summary()]),
      ),
    }),
  };
}
