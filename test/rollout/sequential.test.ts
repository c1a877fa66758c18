import { describe, expect, it } from "vitest";
import { boundOfShare, evidence } from "../../control/rollout/judge/sequential.ts";
import { seededRandom } from "../../control/rollout/simulate/synthetic.ts";

/** Largest evidence against a true share, looking after every trial. */
function worstLook(random: () => number, share: number, limit: number, trials: number): number {
  let hits = 0;
  let worst = 0;
  for (let n = 1; n <= trials; n++) {
    if (random() < share) hits++;
    worst = Math.max(worst, evidence("above", hits, n, limit));
  }
  return worst;
}

describe("evidence that grows with every look", () => {
  it("raises a false alarm at most as often as it promises, looking 600 times", () => {
    const random = seededRandom(1);
    const rounds = 1000;
    let alarms = 0;
    for (let i = 0; i < rounds; i++) if (worstLook(random, 0.05, 0.05, 600) >= 20) alarms++;
    // Promised is one in 20 for the share at the very limit.
    expect(alarms / rounds).toBeLessThan(0.05);
  });

  it("finds a share three times the limit within a few dozen trials", () => {
    const random = seededRandom(2);
    for (let i = 0; i < 100; i++) expect(worstLook(random, 0.3, 0.1, 200)).toBeGreaterThan(10_000);
  });

  it("speaks for what stays within the limit, and against neither without data", () => {
    expect(evidence("below", 0, 400, 0.02)).toBeGreaterThan(20);
    expect(evidence("below", 0, 20, 0.02)).toBeLessThan(20);
    expect(evidence("above", 0, 0, 0.02)).toBe(1);
  });

  it.each([
    [5, 10, 0],
    [5, 10, 1],
    [5, 10, Number.NaN],
    [Number.NaN, Number.NaN, 0.1],
    [0, -5, 0.1],
  ])("is 1 for %d of %d against %d: nothing can be said", (hits, trials, limit) => {
    expect(evidence("above", hits, trials, limit)).toBe(1);
  });

  it("stays finite however clear things are", () => {
    expect(evidence("above", 1e6, 1e6, 0.001)).toBe(1e12);
  });
});

describe("the upper bound of a share", () => {
  it.each([
    [0, 0, 1],
    [10, 10, 1],
  ])("of %d in %d is %d", (hits, trials, bound) => {
    expect(boundOfShare(hits, trials, 3)).toBeCloseTo(bound);
  });
  it("is a lower one below 0", () => {
    expect(boundOfShare(0, 0, -1)).toBe(0);
    expect(boundOfShare(0, 100, -1)).toBeCloseTo(0, 10);
    expect(boundOfShare(50, 100, -1)).toBeCloseTo(0.45, 2);
  });
  it("closes in on the share", () => {
    expect(boundOfShare(5, 100, 3)).toBeGreaterThan(0.1);
    expect(boundOfShare(500, 10_000, 3)).toBeLessThan(0.058);
  });
});
