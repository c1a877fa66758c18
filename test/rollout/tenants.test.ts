import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import type { Observation } from "../../control/report/index.ts";
import { tenantsIn } from "../../control/rollout/judge/tenants.ts";
import { begin } from "../../control/rollout/machine/commands.ts";
import { driftOf, routeFor } from "../../control/rollout/plan/route-for-step.ts";
import { validateRollout } from "../../control/rollout/plan/validate.ts";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { faults, type TenantProfile } from "../../control/rollout/simulate/synthetic.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

const steps = [{ weight: 10 }, { weight: 50 }, { weight: 100 }];

/** Ten tenants with a tenth of the requests each; for some of them the canary is another one. */
function tenants(worse: Record<string, TenantProfile["canary"]> = {}): TenantProfile[] {
  return Array.from({ length: 10 }, (_, i) => ({
    tenant: `t${i}`,
    share: 0.1,
    canary: worse[`t${i}`] ?? {},
  }));
}

async function walked(seed: number, who: readonly TenantProfile[], spec: object = {}) {
  const { state, changes } = await simulate(
    rolloutOf({ steps, hold: "20s", bake: "5s", ...spec }),
    routeOf(),
    traffic(seed, { perSecond: 100, seconds: 900, tenants: who }),
  );
  return { state, changes, pinned: state.pins.map(({ tenant }) => tenant) };
}

describe("a tenant that has all answers", () => {
  const answers = (failed: number, good: number): Observation => {
    const each = { name: "responses", variant: "", tier: "" };
    const counters = new Map([
      ["good", { ...each, label: "2xx", total: good }],
      ["failed", { ...each, label: "5xx", total: failed }],
    ]);
    return { atMs: 0, counters, distributions: new Map() };
  };
  const facts = {
    analysis: rolloutOf({ steps }).spec?.analysis,
    // Of the whole a report more is known than of the tenant.
    window: { canary: answers(60, 0), stable: answers(0, 300) },
    tenants: new Map([
      ["acme", { canary: answers(30, 0), stable: answers(0, 150), stableEver: answers(0, 150) }],
    ]),
    judged: () => [],
    counts: () => true,
    pinned: 0,
  };

  it("is not taken for one of many while a step is young, though it is told of late", () => {
    expect(tenantsIn({ ...facts, countedMs: 2_000 }).worse).toEqual([]);
    expect(tenantsIn({ ...facts, countedMs: 20_000 }).worse).toHaveLength(1);
  });
});

describe("a canary that is worse for a tenant alone", () => {
  it.each([
    ["errors", { errors: 0.4 }, /^tenant t3: success-rate fail: canary \d\d\.\d %, stable/],
    [
      "slow-first-token",
      { firstTokenMs: 1500 },
      /^tenant t3: first-token p\d+ fail: canary \d{4} ms, stable \d{3} ms/,
    ],
    ["wrong-finish-reasons", faults["wrong-finish-reasons"], /^tenant t3: finish-reasons \w+ fail/],
    ["cut-streams", { cut: 0.4 }, /^tenant t3: cut-streams fail: canary \d\d\.\d %/],
  ])("keeps it on stable and goes on for the others: %s", async (_fault, profile, why) => {
    const { state, pinned } = await walked(21, tenants({ t3: profile ?? {} }));
    expect([state.phase, state.reason]).toEqual([
      "succeeded",
      "all steps are done; pinned to stable as before: t3",
    ]);
    expect(pinned).toEqual(["t3"]);
    expect(state.pins[0]?.reason).toMatch(why);
  });

  it("does so for several, one after the other", async () => {
    const { state, pinned } = await walked(22, tenants({ t1: { errors: 0.5 }, t8: { cut: 0.5 } }));
    expect([state.phase, pinned.toSorted()]).toEqual(["succeeded", ["t1", "t8"]]);
  });

  it("goes back where more would have to be pinned than may", async () => {
    const worse = { t1: { errors: 0.5 }, t4: { errors: 0.5 }, t8: { errors: 0.5 } };
    const { state, pinned } = await walked(23, tenants(worse), {
      analysis: { maxPinnedTenants: 2 },
    });
    expect(state.phase).toBe("rolled-back");
    expect(pinned.length).toBeLessThanOrEqual(2);
  });

  it("goes back where it has most of the answers: then it is the canary that is worse", async () => {
    const one = [{ tenant: "big", share: 0.6, canary: { errors: 0.4 } }];
    const { state, pinned } = await walked(24, one);
    expect([state.phase, pinned]).toEqual(["rolled-back", []]);
    expect(state.reason).toMatch(/^success-rate fail/);
  });

  it.each(Object.keys(faults).filter((name) => name !== "none" && name !== "short-answers"))(
    "goes back, and blames no tenant, where it is worse for all: %s",
    async (fault) => {
      const all = tenants().map((each) => ({ ...each, canary: faults[fault] ?? {} }));
      const { state, pinned } = await walked(25, all);
      expect([state.phase, pinned]).toEqual(["rolled-back", []]);
    },
  );

  it("is not looked for where the rollout says so", async () => {
    const { state, pinned } = await walked(26, tenants({ t3: { errors: 0.6 } }), {
      analysis: { maxPinnedTenants: 0 },
    });
    expect([state.phase, pinned]).toEqual(["rolled-back", []]);
  });
});

describe("the route of a rollout that pinned tenants", () => {
  const pinning = (phase: string) => {
    const state = begin(rolloutOf({ steps }), routeOf(), new Date(0));
    Object.assign(state, {
      phase,
      pins: [{ $typeName: "weir.v1.PinnedTenant", tenant: "acme", reason: "slow", step: 0 }],
    });
    return state;
  };
  const pinsOf = (phase: string) => {
    const route = routeOf();
    if (route.spec?.canary) route.spec.canary.pin = { beta: "canary" };
    return routeFor(pinning(phase), route).spec?.canary?.pin;
  };

  it("has them beside the operator's own, and on the way back the operator's alone", () => {
    expect(pinsOf("running")).toEqual({ beta: "canary", acme: "stable" });
    expect(pinsOf("succeeded")).toEqual({ beta: "canary", acme: "stable" });
    expect(pinsOf("rolling-back")).toEqual({ beta: "canary" });
  });

  it("tells when someone took one off", () => {
    const state = pinning("running");
    const route = routeFor(state, routeOf());
    const stored = create(RouteStateSchema, { route });
    expect(driftOf(state, stored)).toBeUndefined();
    if (route.spec?.canary) route.spec.canary.pin = {};
    expect(driftOf(state, create(RouteStateSchema, { route }))).toBe(
      "someone removed the pin of tenant acme to stable, which the rollout had set: slow",
    );
  });
});

describe("a fresh salt", () => {
  const fresh = rolloutOf({ steps, salt: "fresh" });
  const sources = { prometheus: false, webhooks: [], pods: false };

  it("is another one for each rollout, and stays until the next one starts", () => {
    const salts = [1, 2].map((ms) => begin(fresh, routeOf(), new Date(ms)).salt);
    expect(new Set(salts).size).toBe(2);
    const state = begin(fresh, routeOf(), new Date(1));
    const started = routeFor(state, routeOf());
    for (const phase of ["running", "paused", "rolling-back"])
      for (const step of [0, 1, 2, 3])
        expect(routeFor({ ...state, phase, step }, started).spec?.canary?.salt).toBe(salts[0]);
  });

  it("is refused while it would move users who do not go to the canary", () => {
    expect(validateRollout(fresh, routeOf(), sources)).toEqual([]);
    expect(validateRollout(fresh, routeOf(10), sources)).toMatchObject([
      { code: "salt-moves-users", path: "spec.salt" },
    ]);
  });

  it("is the route's own where the rollout does not ask for one", () => {
    const state = begin(rolloutOf({ steps }), routeOf(), new Date(1));
    const before = routeOf().spec?.canary?.salt;
    expect(routeFor(state, routeOf()).spec?.canary?.salt).toBe(before);
    expect(state.salt).toBe("");
  });

  it("pauses the rollout when someone changes it meanwhile, which would move users", () => {
    const state = begin(fresh, routeOf(), new Date(1));
    const route = routeFor(state, routeOf());
    if (route.spec?.canary) route.spec.canary.salt = "mine";
    expect(driftOf(state, create(RouteStateSchema, { route }))).toBe(
      `someone changed the salt to mine; the rollout had set ${state.salt}`,
    );
  });
});
