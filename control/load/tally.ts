import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { Outcome } from "./ask.ts";
import type { Percentiles, Signals } from "./objective.ts";

/** Counts and latencies of some requests. */
export interface Tally {
  add(outcome: Outcome): void;
  summary(): Summary;
}

/** Counts by what became of the requests, and the signals. */
export interface Summary extends Signals {
  requests: number;
  ok: number;
  refused: number;
  failed: number;
  /** Words of the failures, most frequent first. */
  failures: { reason: string; count: number }[];
  outputTokens: number;
}

/** Latencies are kept in microseconds, at three significant digits (HdrHistogram). */
const maxUs = 3_600_000_000;
const maxReasons = 20;

export function createTally(): Tally {
  const latency = createHistogram({ lowest: 1, highest: maxUs, figures: 3 });
  const firstToken = createHistogram({ lowest: 1, highest: maxUs, figures: 3 });
  const counts = { ok: 0, refused: 0, failed: 0 };
  const failures = new Map<string, number>();
  let outputTokens = 0;
  return {
    add(outcome) {
      counts[outcome.kind]++;
      if (outcome.reason !== undefined) {
        const known = failures.has(outcome.reason) || failures.size < maxReasons;
        const reason = known ? outcome.reason : "other";
        failures.set(reason, (failures.get(reason) ?? 0) + 1);
      }
      outputTokens += outcome.outputTokens;
      // Refusals are quick and failures take any time: neither measures how fast responses are.
      if (outcome.kind !== "ok") return;
      record(latency, outcome.latencyMs);
      if (outcome.firstTokenMs !== undefined) record(firstToken, outcome.firstTokenMs);
    },
    summary() {
      const requests = counts.ok + counts.refused + counts.failed;
      return {
        requests,
        ...counts,
        errors: requests > 0 ? counts.failed / requests : 0,
        refusals: requests > 0 ? counts.refused / requests : 0,
        latencyMs: percentiles(latency),
        firstTokenMs: percentiles(firstToken),
        failures: [...failures]
          .map(([reason, count]) => ({ reason, count }))
          .sort((a, b) => b.count - a.count),
        outputTokens,
      };
    },
  };
}

function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.min(maxUs, Math.max(1, Math.round(ms * 1000))));
}

function percentiles(histogram: RecordableHistogram): Percentiles {
  const at = (percentile: number) =>
    histogram.count === 0 ? Number.NaN : histogram.percentile(percentile) / 1000;
  return { p50: at(50), p95: at(95), p99: at(99) };
}
