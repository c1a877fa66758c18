import { describe, expect, it } from "vitest";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { faults } from "../../control/rollout/simulate/synthetic.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

const steps = [{ weight: 10 }, { weight: 50 }, { weight: 100 }];

describe("a simulated rollout", () => {
  it("takes a good canary to all users, one step after the other", async () => {
    const { state, changes } = await simulate(
      rolloutOf({ steps }),
      routeOf(),
      traffic(7, { perSecond: 60, seconds: 1200 }),
    );
    expect(state.phase).toBe("succeeded");
    expect(changes.map(({ step, weight }) => [step, weight])).toEqual([
      [0, 10],
      [1, 50],
      [2, 100],
      [3, 100],
      [3, 100],
    ]);
  });

  it.each([
    ["slow-first-token", /^first-token p\d+ fail: canary [34]\d\d ms, stable 1\d\d ms/],
    ["long-gaps", /^token-gap p\d+ fail/],
    ["cut-streams", /^cut-streams fail: canary 1\d\.\d %/],
    ["errors", /^success-rate fail: canary [78]\d\.\d %, stable 99\.\d+ %/],
    ["errors-within-200", /^success-rate fail: canary [78]\d\.\d %, stable 99\.\d+ %/],
    ["refusals", /^refusals fail: canary 1\d\.\d %, stable 0\.\d+ %/],
    ["hangs", /^hangs over 4s fail: canary [2-4]\d\.\d %, stable 0\.0\d %/],
    ["wrong-finish-reasons", /^finish-reasons length fail/],
  ])("takes back a canary with %s and says why", async (fault, why) => {
    expect(Object.keys(faults)).toContain(fault);
    const { state, changes } = await simulate(
      rolloutOf({ steps }),
      routeOf(),
      traffic(8, { perSecond: 60, seconds: 1200, fault }),
    );
    expect(state.phase).toBe("rolled-back");
    expect(state.weight).toBe(0);
    expect(state.reason).toMatch(why);
    expect(changes.every(({ weight }) => weight <= 10)).toBe(true);
  });

  it("takes back short answers where their length is compared", async () => {
    const { state } = await simulate(
      rolloutOf({ steps, analysis: { checks: [{ metric: "output-tokens" }] } }),
      routeOf(),
      traffic(9, { perSecond: 60, seconds: 600, fault: "short-answers" }),
    );
    expect(state.reason).toMatch(/^output-tokens too low fail: canary [4-6]\d/);
  });

  it("notices at 100 %, where no one is left to compare with, by the limits of the step before", async () => {
    const frames = traffic(10, { perSecond: 60, seconds: 1200 });
    const bad = traffic(11, { perSecond: 60, seconds: 1200, fault: "slow-first-token" });
    let goodUntilMs = 0;
    const { state, changes } = await simulate(
      rolloutOf({ steps, bake: "300s" }),
      routeOf(),
      (weight) => {
        const frame = frames(weight);
        const worse = bad(weight);
        if (weight < 100 || frame === undefined) {
          goodUntilMs = frame?.atMs ?? 0;
          return frame;
        }
        return frame.atMs < goodUntilMs + 100_000
          ? frame
          : {
              ...frame,
              reports: (worse?.reports ?? []).map((each) => ({ ...each, node: "worse" })),
            };
      },
    );
    expect(changes.at(-3)?.weight).toBe(100);
    expect(state.phase).toBe("rolled-back");
    expect(state.reason).toMatch(/^first-token p\d+ fail/);
  });

  it("A11: holds while nothing is reported, goes on when it is again, and goes back after the stated time", async () => {
    const spec = { steps, analysis: { blind: "120s" } };
    /** Nothing is reported between two moments. */
    const silent = (fromMs: number, toMs: number) => {
      const frames = traffic(12, { perSecond: 60, seconds: 1200 });
      return (weight: number) => {
        const frame = frames(weight);
        return frame && frame.atMs > fromMs && frame.atMs < toMs
          ? { ...frame, reports: [] }
          : frame;
      };
    };
    const short = await simulate(rolloutOf(spec), routeOf(), silent(10_000, 100_000));
    expect(short.state.phase).toBe("succeeded");
    expect(short.changes[1]?.atMs).toBeGreaterThan(100_000);
    const long = await simulate(rolloutOf(spec), routeOf(), silent(10_000, 1_000_000));
    expect(long.changes.map(({ weight }) => weight)).toEqual([10, 0, 0]);
    expect(long.state.phase).toBe("rolled-back");
    expect(long.state.reason).toBe("no measurements for 2 min: no proxy has reported for 2 min");
    expect(long.changes[1]?.atMs).toBeGreaterThan(120_000);
    expect(long.changes[1]?.atMs).toBeLessThan(150_000);
  });
});
