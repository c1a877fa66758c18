import { expect, it } from "vitest";
import { simulate } from "../../control/rollout/simulate/simulate.ts";
import { rolloutOf, routeOf, traffic } from "./world.ts";

const spec = { steps: [{ weight: 20 }, { weight: 50 }], hold: "20s", bake: "10s" };

const rounds = process.env.WEIR_LONG ? 500 : 150;
it(`raises a false alarm for less than one in a hundred of ${rounds} good rollouts`, {
  timeout: 900_000,
}, async () => {
  const ended = new Map<string, number>();
  const alarms: string[] = [];
  for (let seed = 0; seed < rounds; seed++) {
    const { state } = await simulate(
      rolloutOf(spec),
      routeOf(),
      traffic(1000 + seed, { perSecond: 60, seconds: 400, everySeconds: 6 }),
    );
    ended.set(state.phase, (ended.get(state.phase) ?? 0) + 1);
    if (state.phase === "rolled-back") alarms.push(state.reason);
  }
  expect(alarms.length, alarms.join("\n")).toBeLessThan(rounds / 100);
  expect(ended.get("succeeded") ?? 0).toBeGreaterThan(rounds * 0.98);
});

const pinned = process.env.WEIR_LONG ? 500 : 30;
it(`pins no tenant, of eight that are judged by themselves, in ${pinned} good rollouts`, {
  timeout: 3_600_000,
}, async () => {
  const tenants = Array.from({ length: 8 }, (_, i) => ({
    tenant: `t${i}`,
    // Large ones and small ones.
    share: 0.3 / (i + 1),
    canary: {},
  }));
  const wrong: string[] = [];
  for (let seed = 0; seed < pinned; seed++) {
    const { state } = await simulate(
      rolloutOf(spec),
      routeOf(),
      traffic(5000 + seed, { perSecond: 60, seconds: 400, everySeconds: 6, tenants }),
    );
    for (const { reason } of state.pins) wrong.push(`${seed} pinned: ${reason}`);
    if (state.phase === "rolled-back") wrong.push(`${seed} rolled back: ${state.reason}`);
  }
  expect(wrong.length, wrong.join("\n")).toBeLessThan(pinned / 100);
});
