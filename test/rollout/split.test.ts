import { describe, expect, it } from "vitest";
import type { Observation } from "../../control/report/index.ts";
import { totalOf } from "../../control/report/index.ts";
import { createSplit } from "../../control/rollout/judge/split-check.ts";
import { agrees } from "../../control/route/index.ts";

/** Cumulative counts of a route's requests by variant. */
function seen(canary: number, stable: number): Observation {
  const counters = Object.entries({ canary, stable }).map(
    ([label, total]) => [label, { name: "requests", label, variant: "", tier: "", total }] as const,
  );
  return { atMs: 0, counters: new Map(counters), distributions: new Map() };
}

/** What is said second by second of a step that gives the canary `weight` percent. */
function follow(weight: number, perSecond: readonly [canary: number, stable: number][]) {
  let [canary, stable] = [1_000, 9_000];
  const split = createSplit(seen(canary, stable));
  return perSecond.map(([more, others]) => {
    canary += more;
    stable += others;
    return split(seen(canary, stable), (since) => {
      const got = totalOf(since, "requests", { label: "canary" });
      return agrees(weight, got, got + totalOf(since, "requests", { label: "stable" }), 4);
    }).agrees;
  });
}

describe("the split of the requests", () => {
  it("agrees after requests that were counted before the step and told of after it", () => {
    const second: [number, number] = [400, 0];
    // Half of a second's requests are still the step's before: 50 %.
    expect(follow(100, [[300, 100], second, second, second])).toEqual([false, true, true, true]);
    expect(follow(100, [second, [300, 100], second, second])).toEqual([true, false, false, true]);
  });

  it("never agrees while part of the proxies split otherwise", () => {
    const wrong = Array.from({ length: 60 }, (): [number, number] => [380, 20]);
    expect(follow(100, wrong)).toEqual(wrong.map(() => false));
    const half = Array.from({ length: 60 }, (): [number, number] => [100, 300]);
    expect(follow(50, half)).toEqual(half.map(() => false));
  });

  it("is not cleared of a doubt by a few requests", () => {
    expect(
      follow(100, [
        [300, 100],
        [5, 0],
        [5, 0],
        [0, 0],
      ]),
    ).toEqual([false, false, false, false]);
  });
});
