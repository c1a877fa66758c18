import type { Question } from "./ask.ts";
import { drive } from "./drive.ts";
import { judge, type Objective, type ObjectiveResult } from "./objective.ts";
import type { Summary } from "./tally.ts";

/** What a probe of a drill sends, and what it must find. */
export interface ProbeOptions {
  /** Origin of the gateway, such as "http://127.0.0.1:10000". */
  target: string;
  /** Of each kind; tagged requests take part in the drill, the others show that nobody else does. */
  requestsPerSecond: number;
  /** Milliseconds of the whole probe. */
  durationMs: number;
  /** Milliseconds of a window; objectives are judged after each. */
  windowMs: number;
  tagged: (n: number) => Question;
  others: (n: number) => Question;
  objectives: readonly DrillObjective[];
  onWindow?: (window: ProbeWindow) => void;
  signal?: AbortSignal;
}

/** An objective of the tagged requests, or of the untagged ones. */
export interface DrillObjective {
  of: "tagged" | "others";
  objective: Objective;
}

/** What one window of a probe came to. */
export interface ProbeWindow {
  /** Milliseconds from the begin of the probe to the end of the window. */
  atMs: number;
  tagged: Summary;
  others: Summary;
  objectives: ObjectiveResult[];
}

/** What a whole probe came to. */
export interface ProbeResult {
  windows: ProbeWindow[];
  /** Objectives that were missed in the last window and ended the probe; empty: it ran its time. */
  breached: ObjectiveResult[];
}

const drainMs = 10_000;
const maxOpen = 500;

/**
 * Sends tagged and untagged requests side by side, window after window, until
 * the time is over, an objective is missed or the signal aborts.
 */
export async function probe(options: ProbeOptions): Promise<ProbeResult> {
  const { target, durationMs, windowMs, signal } = options;
  const begin = performance.now();
  const windows: ProbeWindow[] = [];
  while (!signal?.aborted) {
    const leftMs = durationMs - (performance.now() - begin);
    // What is left when a window drained late may be too short for a single request.
    if (leftMs * options.requestsPerSecond < 1000) break;
    const stage = {
      requestsPerSecond: options.requestsPerSecond,
      durationMs: Math.min(windowMs, leftMs),
    };
    const send = (question: (n: number) => Question) =>
      drive({
        target,
        stages: [stage],
        question,
        maxOpen,
        drainMs,
        ...(signal ? { signal } : {}),
      });
    const [tagged, others] = await Promise.all([send(options.tagged), send(options.others)]);
    const window = judged(
      options.objectives,
      tagged.total,
      others.total,
      performance.now() - begin,
    );
    windows.push(window);
    options.onWindow?.(window);
    const breached = window.objectives.filter(({ held }) => !held);
    if (breached.length > 0) return { windows, breached };
  }
  return { windows, breached: [] };
}

function judged(
  objectives: readonly DrillObjective[],
  tagged: Summary,
  others: Summary,
  atMs: number,
): ProbeWindow {
  const results = objectives
    // A window without requests of a kind cannot judge it.
    .filter(({ of }) => (of === "tagged" ? tagged : others).requests > 0)
    .flatMap(({ of, objective }) =>
      judge([objective], of === "tagged" ? tagged : others).map((result) => ({
        ...result,
        objective: of === "others" ? `others:${result.objective}` : result.objective,
      })),
    );
  return { atMs, tagged, others, objectives: results };
}
