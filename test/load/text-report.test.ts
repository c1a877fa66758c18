import { expect, it } from "vitest";
import { type StageResult, textReport } from "../../control/load/index.ts";

function summary(p99: number) {
  const percentiles = { p50: p99, p95: p99, p99 };
  return {
    ...{ requests: 0, ok: 0, refused: 0, failed: 0, errors: 0, refusals: 0, outputTokens: 0 },
    ...{ latencyMs: percentiles, firstTokenMs: percentiles, failures: [] },
  };
}

function report(...p99s: number[]): string {
  const stages: StageResult[] = p99s.map((p99) => ({
    ...{ requestsPerSecond: 1, durationMs: 1000, sent: 0, notSent: 0, latestMs: 0, variants: {} },
    all: summary(p99),
  }));
  const total = summary(Number.NaN);
  return textReport({ target: "", startedAt: "", cut: false, stages, total }, []);
}

it("has a bar of p99 for each stage, in proportion to the longest", () => {
  const bars = report(100, Number.NaN, 400)
    .split("\n")
    .slice(-3)
    .map((line) => [line.match(/#/g)?.length ?? 0, line.trim().split(/ {2,}/).at(-1)]);
  expect(bars).toEqual([
    [10, "100 ms"],
    [0, "-"],
    [40, "400 ms"],
  ]);
});

it("has no bars where there is nothing to compare", () => {
  expect(report(100)).not.toContain("p99 of latency by stage");
  expect(report(Number.NaN, 100)).not.toContain("p99 of latency by stage");
});
