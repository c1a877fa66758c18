import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, it } from "vitest";
import { AnalysisSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { createLedger } from "../../control/report/index.ts";
import { judge } from "../../control/rollout/judge/judge.ts";
import { evidence } from "../../control/rollout/judge/sequential.ts";
import { sideOf } from "../../control/rollout/judge/trials.ts";
import { traffic } from "./world.ts";

const passesAt = 20;
/** Nothing fails, as on most days; times and finish reasons vary as ever. */
const clean = { errors: 0, refused: 0, cut: 0, hangs: 0 };

/** Answers of a canary that has no such answer, until any test at all has evidence of 20 to 1. */
function minFor(limit: number): number {
  return Math.log(passesAt) / -Math.log(1 - limit);
}

/** How many answers of each of two variants that are the same it takes until each check has passed. */
function answersToPass(seed: number): Map<string, number> {
  let atMs = 0;
  const ledger = createLedger(() => atMs);
  const frames = traffic(seed, { perSecond: 40, seconds: 50, stable: clean });
  const analysis = create(AnalysisSchema, { minimumSample: 20 });
  const passed = new Map<string, number>();
  for (let frame = frames(50); frame; frame = frames(50)) {
    atMs = frame.atMs;
    for (const report of frame.reports) ledger.add(report);
    const seen = ledger.observation("inference/chat");
    const sides = { canary: sideOf(seen, "canary"), stable: sideOf(seen, "stable") };
    for (const { check, outcome, canarySample } of judge(analysis, sides, [])) {
      if (!passed.has(check)) passed.set(check, Number.POSITIVE_INFINITY);
      if (outcome === "pass") passed.set(check, Math.min(passed.get(check) ?? 0, canarySample));
    }
  }
  return passed;
}

describe("a verdict over clean answers", () => {
  it.each([
    [2, 148],
    [5, 58],
    [10, 28],
  ])(
    "at a tolerance of %d points takes at most 1.7 times the %d that are least",
    (tolerance, lower) => {
      expect(Math.floor(minFor(tolerance / 100))).toBe(lower);
      let answers = 0;
      // The stable variant is as clean, over as many answers.
      while (evidence("below", 0, ++answers, tolerance / 100, 0.5 / (answers + 1)) < passesAt);
      expect(answers / minFor(tolerance / 100)).toBeLessThan(1.7);
    },
  );
});

describe("what docs/rollouts.md says of answers to a verdict", () => {
  const page = readFileSync("docs/rollouts.md", "utf8");
  /** | `check` | half | nine of ten | */
  const rows = [
    ...page.matchAll(/^\| `([a-z_ -]+?)(?: p(\d+))?` +\| +(\d+) +\| +(\d+) +\|$/gm),
  ].map(([, metric, percentile, half, upper]) => ({
    check: percentile ? `${metric} p${percentile}` : (metric as string),
    half: Number(half),
    upper: Number(upper),
  }));
  const seeds = 120;
  let all: Map<string, number[]>;

  beforeAll(() => {
    all = new Map();
    for (let seed = 0; seed < seeds; seed++)
      for (const [check, answers] of answersToPass(700 + seed)) {
        const name = check.replace(/ over \d+s$/, "");
        all.set(name, [...(all.get(name) ?? []), answers]);
      }
    for (const each of all.values()) each.sort((a, b) => a - b);
  }, 300_000);

  it("has a row for each check that is made by itself", () => {
    expect(rows.map(({ check }) => check).sort()).toEqual([...all.keys()].sort());
  });

  it.each(rows)(
    "$check: $half for half of the rollouts, $most for nine of ten",
    ({ check, half, upper }) => {
      const answers = all.get(check) ?? [];
      const [median = 0, nine = 0] = [answers[seeds / 2], answers[seeds * 0.9]];
      console.log(`${check}: ${Math.round(median)} ${Math.round(nine)}`);
      expect(median).toBeLessThanOrEqual(half);
      expect(median).toBeGreaterThan(half * 0.6);
      expect(nine).toBeLessThanOrEqual(upper);
      expect(nine).toBeGreaterThan(upper * 0.6);
    },
  );

  it("at 8 requests a second and weight 50, whatever counts failures is clear within 60 seconds", () => {
    for (const check of ["success-rate", "refusals", "hangs", "cut-streams"])
      expect(all.get(check)?.at(-1), check).toBeLessThanOrEqual(8 * 0.5 * 60);
  });
});
