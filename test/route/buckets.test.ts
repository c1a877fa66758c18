import { describe, expect, it } from "vitest";
import type { BucketRun } from "../../control/gen/weir/v1/filter_pb.ts";
import { initialBuckets, movesBetween, shiftBuckets } from "../../control/route/index.ts";
import { generator } from "../random.ts";

const shares = (weights: Record<string, number>) =>
  Object.entries(weights).map(([name, weight]) => ({ name, weight }));
const plain = (runs: readonly BucketRun[]) =>
  runs.map(({ variant, count }) => `${variant} ${count}`);
const moved = (before: BucketRun[], after: BucketRun[]) =>
  movesBetween(before, after).reduce((sum, { percent }) => sum + Math.round(percent * 100), 0);

it("lays out the first table with the first variant below the others", () => {
  expect(plain(initialBuckets(shares({ stable: 90, canary: 10 })))).toEqual([
    "stable 9000",
    "canary 1000",
  ]);
});

it("gives back first what a canary took last", () => {
  const at10 = initialBuckets(shares({ stable: 90, canary: 10 }));
  const at30 = shiftBuckets(at10, shares({ stable: 70, canary: 30 }));
  expect(shiftBuckets(at30, shares({ stable: 90, canary: 10 }))).toEqual(at10);
  expect(movesBetween(at10, at30)).toMatchObject([{ from: "stable", to: "canary", percent: 20 }]);
});

describe("over two hundred random shifts of up to six variants", () => {
  const random = generator(42);
  const names = ["stable", "a", "b", "c", "d", "e"];
  let before = initialBuckets(shares({ stable: 100 }));
  let weights: Record<string, number> = { stable: 100 };
  const steps = Array.from({ length: 200 }, () => {
    const next = randomWeights(random, names);
    const step = { before, weights, next, after: shiftBuckets(before, shares(next)) };
    before = step.after;
    weights = next;
    return step;
  });

  it("moves exactly half of the sum of the weight changes", () => {
    for (const { before, weights, next, after } of steps) {
      const change = names.reduce(
        (sum, name) => sum + Math.abs((next[name] ?? 0) - (weights[name] ?? 0)),
        0,
      );
      expect(moved(before, after)).toBe(Math.round(change * 50));
    }
  });

  it("gives every variant exactly its weight of 10,000 buckets", () => {
    for (const { next, after } of steps)
      for (const name of names) {
        const own = after
          .filter(({ variant }) => variant === name)
          .reduce((sum, { count }) => sum + count, 0);
        expect(own).toBe(Math.round((next[name] ?? 0) * 100));
      }
  });

  it("never moves a user towards a variant that shrinks", () => {
    for (const { before, weights, next, after } of steps)
      for (const { from, to } of movesBetween(before, after)) {
        expect(next[to] ?? 0).toBeGreaterThan(weights[to] ?? 0);
        expect(next[from] ?? 0).toBeLessThan(weights[from] ?? 0);
      }
  });
});

/** Weights with two decimals that sum to 100. */
function randomWeights(random: () => number, names: readonly string[]): Record<string, number> {
  const cuts = names
    .slice(1)
    .map(() => Math.floor(random() * 10001))
    .sort((a, b) => a - b);
  const edges = [0, ...cuts, 10000];
  return Object.fromEntries(
    names.map((name, i) => [name, ((edges[i + 1] ?? 0) - (edges[i] ?? 0)) / 100]),
  );
}
