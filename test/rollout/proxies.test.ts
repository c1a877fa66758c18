import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { type FakeProxy, startFakeProxy } from "./fake-proxy.ts";
import { startReporter } from "./reporter.ts";
import { rolloutOf, routeWithPods } from "./world.ts";

const names = ["one", "two", "three"];
let server: ControlServer;
let proxies: FakeProxy[];
let rollouts: ApiClients["rollouts"];
let routes: ApiClients["routes"];
let audit: ApiClients["audit"];
beforeEach(async () => {
  server = await startQuietServer();
  ({ rollouts, routes, audit } = clientsOf(urlOf(server)));
  await routes.applyRoute({ route: routeWithPods(9001, 9002) });
  proxies = names.map((id) => startFakeProxy(server.xds.port, id));
  await expect.poll(applied, { timeout: 30_000 }).toBe("3 of 3");
});
afterEach(async () => {
  for (const proxy of proxies) proxy.close();
  await server.close();
});

async function applied(): Promise<string> {
  const { applied } = await routes.getRoute({ name: "chat" });
  return `${applied?.applied} of ${applied?.wanted}`;
}
const weights = async () =>
  (await routes.getRoute({ name: "chat" })).state?.route?.spec?.variants.map((each) => each.weight);
const state = async () => (await rollouts.getRollout({ name: "chat" })).progress?.state;
const waits = async () =>
  (await rollouts.getRollout({ name: "chat" })).progress?.waitingFor.join("; ");
const start = (spec: object) => rollouts.startRollout({ rollout: rolloutOf(spec) });

describe("proxies that do not do as they are told", () => {
  it("refuse: the rollout goes back, in the proxy's own words, and no other proxy was sent the step", async () => {
    for (const proxy of proxies) proxy.refusal = "no such wasm";
    await start({ steps: [{ weight: 20 }, { weight: 100 }] });
    await expect.poll(state, { timeout: 20_000 }).toMatchObject({
      phase: "rolled-back",
      reason: expect.stringMatching(/^(one|two|three) ECDS refused: no such wasm$/),
    });
    expect(await weights()).toEqual([100, 0]);
    await expect.poll(applied, { timeout: 20_000 }).toBe("3 of 3");
    const { entries } = await audit.listAudit({ name: "chat" });
    expect(entries.map(({ action }) => action)).toEqual([
      "rollout-end",
      "rollout-rollback",
      "rollout-start",
      "apply",
    ]);
  });

  it("refuse a shift: it is taken back, and the audit says why", async () => {
    for (const proxy of proxies) proxy.refusal = "no such wasm";
    await routes.shiftWeights({ name: "chat", weights: { canary: 40 } });
    await expect.poll(weights, { timeout: 20_000 }).toEqual([100, 0]);
    const { entries } = await audit.listAudit({ name: "chat", limit: 1 });
    expect(entries[0]).toMatchObject({
      action: "take-back",
      principal: "weir",
      reason: expect.stringMatching(/refused ECDS: no such wasm$/),
    });
    await expect.poll(applied, { timeout: 20_000 }).toBe("3 of 3");
  });

  it.each([
    ["pause", "paused"],
    ["rollback", "rolled-back"],
  ])(
    "never answer: the rollout names them at the deadline and does as it says: %s",
    async (onDeadline, phase) => {
      const [, mute] = proxies;
      if (mute) mute.mute = true;
      await start({
        steps: [{ weight: 20 }, { weight: 100 }],
        proof: { deadline: "1s", onDeadline },
      });
      await expect
        .poll(state, { timeout: 20_000, interval: 100 })
        .toMatchObject({ phase: phase === "paused" ? "paused" : expect.stringMatching(/^roll/) });
      expect((await state())?.reason).toContain(
        "not proven within 1 s: applied on 2 of 3: two waiting for",
      );
    },
  );

  it("never answer, and are left behind where the rollout says so", async () => {
    const [, mute] = proxies;
    if (mute) mute.mute = true;
    await start({
      steps: [{ pause: { duration: "0s" } }, { weight: 20 }],
      proof: { deadline: "1s", onDeadline: "continue" },
    });
    await expect.poll(state, { timeout: 20_000 }).toMatchObject({ step: 1, weight: 20 });
  });

  it("vanish all at once in the middle of a rollout: it stands still, and goes on where it was when they are back", {
    timeout: 120_000,
  }, async () => {
    const reporters = names.map((id, i) => {
      const reporter = startReporter(() => urlOf(server), id, 200);
      Object.defineProperty(reporter, "weight", { get: () => proxies[i]?.canaryPercent });
      onTestFinished(() => reporter.stop());
      return reporter;
    });
    const silence = (silent: boolean) => {
      for (const reporter of reporters) reporter.silent = silent;
    };
    const analysis = { minimumSample: 20, checks: [{ metric: "success-rate", tolerance: 5 }] };
    await start({ steps: [{ weight: 20 }, { weight: 50 }, { weight: 100 }], hold: "1s", analysis });
    await expect.poll(async () => (await state())?.step, { interval: 20 }).toBe(1);
    silence(true);
    for (const proxy of proxies) proxy.close();
    await expect.poll(waits).toContain("no proxy is connected");
    const stood = await state();
    // Three times as long as the step would take.
    const untilMs = performance.now() + 3_000;
    await expect.poll(() => performance.now()).toBeGreaterThan(untilMs);
    expect(await state()).toEqual(stood);
    proxies = names.map((id) => startFakeProxy(server.xds.port, id));
    silence(false);
    await expect.poll(state, { timeout: 60_000 }).toMatchObject({ phase: "succeeded" });
    const { entries } = await audit.listAudit({ name: "chat" });
    const taken = entries.filter(({ action }) => action === "rollout-step").reverse();
    expect(taken.map(({ rolloutAfter }) => rolloutAfter?.step)).toEqual([1, 2, 3]);
  });
});
