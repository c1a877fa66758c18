import { describe, expect, it } from "vitest";
import type { RolloutState } from "../../control/gen/weir/v1/rollout_pb.ts";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { begin, command } from "../../control/rollout/machine/commands.ts";
import { driftOf, routeFor } from "../../control/rollout/plan/route-for-step.ts";
import { stagesOf } from "../../control/rollout/plan/stages.ts";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

const steps = [
  { weight: 50, tiers: ["gold"] },
  { weight: 50, tiers: ["gold", "silver"] },
  { weight: 50 },
  { weight: 100 },
];
const rollout = rolloutOf({ warmup: { weight: 5, duration: "10s" }, steps });
const route = routeOf();

const at = (step: number, change: Partial<RolloutState> = {}): RolloutState => ({
  ...begin(rollout, route, new Date()),
  step,
  ...change,
});
const held = (state: RolloutState, from: InferenceRoute = route) =>
  routeFor(state, from).spec?.canary?.hold?.tiers;

describe("a rollout that goes tier by tier", () => {
  it("holds all tiers but those of the step, and none in the end", () => {
    expect(Object.keys(route.spec?.rateLimit?.tiers ?? {}).sort()).toEqual([
      "bronze",
      "gold",
      "silver",
    ]);
    expect([-1, 0, 1, 2, 3, 4].map((step) => held(at(step)))).toEqual([
      ["bronze", "silver"],
      ["bronze", "silver"],
      ["bronze"],
      undefined,
      undefined,
      undefined,
    ]);
    expect(stagesOf(rollout.spec as never).map(({ weight }) => weight)).toEqual([
      5, 50, 50, 50, 100, 100,
    ]);
  });

  it("holds nobody any more on its way back", () => {
    const on = routeFor(at(0), route);
    const answer = command(at(0), { kind: "rollback" }, "enough");
    if (!("state" in answer)) throw new Error(answer.refusal);
    expect(held(answer.state, on)).toBeUndefined();
    expect(on.spec?.canary?.hold?.variant).toBe("stable");
  });

  it("sees when someone else lets a tier go", () => {
    const state = at(0);
    const on = routeFor({ ...state, weight: 50 }, route);
    const stored = { route: on } as never;
    expect(driftOf({ ...state, weight: 50 }, stored)).toBeUndefined();
    delete on.spec?.canary?.hold;
    expect(driftOf({ ...state, weight: 50 }, stored)).toBe(
      "someone changed the held tiers to none; the rollout had set bronze, silver",
    );
  });

  it("judges by the users of the step's tiers alone", async () => {
    // All reports are of gold: with silver alone there is nothing to judge, and nothing goes on.
    const gold = traffic(7, { perSecond: 60, seconds: 200 });
    const tierOf = (gold(50)?.reports[0]?.counters ?? []).find(({ tier }) => tier !== "")?.tier;
    const run = (tier: string) =>
      simulate(
        rolloutOf({ steps: [{ weight: 50, tiers: [tier] }, { weight: 100 }], hold: "10s" }),
        routeOf(),
        traffic(7, { perSecond: 60, seconds: 200 }),
      );
    const others = ["gold", "silver", "bronze"].filter((tier) => tier !== tierOf);
    expect((await run(tierOf ?? "")).state.step).toBeGreaterThan(0);
    expect((await run(others[0] ?? "")).state.step).toBe(0);
  });
});
