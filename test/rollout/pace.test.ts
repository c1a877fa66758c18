import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { createLedger } from "../../control/report/index.ts";
import { begin } from "../../control/rollout/machine/commands.ts";
import { createEngine } from "../../control/rollout/run/engine.ts";
import { writeRollout } from "../../control/rollout/run/write.ts";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore } from "../../control/store/index.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

it("gains no faster than the rollout allows, whatever the evidence says", async () => {
  const { state, changes } = await simulate(
    rolloutOf({
      steps: [{ weight: 10 }, { weight: 30 }, { weight: 100 }],
      hold: "5s",
      bake: "5s",
      maxPercentPerMinute: 20,
    }),
    routeOf(),
    traffic(41, { perSecond: 60, seconds: 900 }),
  );
  expect(state.phase).toBe("succeeded");
  const atS = (wanted: number) =>
    (changes.find(({ weight }) => weight === wanted)?.atMs ?? 0) / 1000;
  // 20 points more take a minute, 70 more three and a half.
  expect(atS(30) - atS(10)).toBeGreaterThanOrEqual(60);
  expect(atS(100) - atS(30)).toBeGreaterThanOrEqual(210);
  expect(atS(100) - atS(30)).toBeLessThan(225);
});

it("warms a new variant up at a low share, where slow answers do not count but failed ones do", async () => {
  const plan = { warmup: { weight: 2, duration: "120s" }, steps: [{ weight: 20 }], hold: "20s" };
  /** A canary with a fault for as long as it is cold. */
  const cold = (fault: string) => {
    const bad = traffic(42, { perSecond: 200, seconds: 600, fault });
    const good = traffic(43, { perSecond: 200, seconds: 600 });
    return (weight: number) => {
      const [frame, warm] = [bad(weight), good(weight)];
      if (frame === undefined || warm === undefined) return undefined;
      const reports = warm.reports.map((each) => ({ ...each, node: "warm" }));
      return weight <= 2 ? frame : { ...frame, reports };
    };
  };
  const slow = await simulate(rolloutOf(plan), routeOf(), cold("slow-first-token"));
  expect(slow.changes.slice(0, 2).map(({ step, weight }) => [step, weight])).toEqual([
    [-1, 2],
    [0, 20],
  ]);
  expect(slow.changes[1]?.atMs).toBeGreaterThanOrEqual(120_000);
  expect(slow.changes[1]?.atMs).toBeLessThan(150_000);
  const failing = await simulate(rolloutOf(plan), routeOf(), cold("errors"));
  expect(failing.changes[1]).toMatchObject({ phase: "rolling-back", weight: 0, step: -1 });
  expect(failing.state.reason).toMatch(/^success-rate fail/);
});

it("takes no step because a clock jumps, forwards or back", async () => {
  const route = routeOf();
  const name = "inference/chat";
  const store = openStore("memory");
  const frames = traffic(44, { perSecond: 200, seconds: 600 });
  let steadyMs = 0;
  let wallMs = 1_700_000_000_000;
  const ledger = createLedger(() => steadyMs);
  const engine = createEngine({
    store,
    fleet: {
      applied: () => ({ applied: 1, wanted: 1, behind: [] }),
      observation: ledger.observation,
      tenants: ledger.tenants,
      silentMs: () => 0,
    },
    monotonicMs: () => steadyMs,
    now: () => new Date(wallMs),
    log: () => {},
  });
  const author = { principal: "test", reason: "" };
  const stored = await store.put(name, draftRoute(route, undefined), "0", "apply", author);
  await writeRollout(store, name, {
    before: undefined,
    after: begin(
      rolloutOf({
        steps: [{ weight: 20 }, { pause: { duration: "60s" } }, { weight: 50 }],
        hold: "60s",
      }),
      route,
      new Date(wallMs),
    ),
    route: create(RouteStateSchema, stored),
    action: "rollout-start",
    author,
  });
  const second = async () => {
    const state = await store.getRollout(name);
    steadyMs += 1000;
    wallMs += 1000;
    for (const report of frames(state?.weight ?? 0)?.reports ?? []) ledger.add(report);
    await engine.tick();
    return (await store.getRollout(name))?.step;
  };
  const day = 86_400_000;
  for (let i = 0; i < 50; i++) {
    wallMs += i % 2 === 0 ? day : -day;
    expect(await second()).toBe(0);
  }
  for (let i = 0; i < 20; i++) await second();
  expect(await second()).toBe(1);
  for (let i = 0; i < 40; i++) {
    wallMs += i % 2 === 0 ? day : -day;
    expect(await second()).toBe(1);
  }
});
