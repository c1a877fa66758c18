import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { freePorts } from "../free-ports.ts";
import { type FakeProxy, startFakeProxy } from "./fake-proxy.ts";
import { type Reporter, startReporter } from "./reporter.ts";
import { rolloutOf, routeWithPods } from "./world.ts";

let directory: string;
let listen: number;
let xds: number;
let child: ChildProcess | undefined;
let proxy: FakeProxy | undefined;
let reporter: Reporter;
let rollouts: ApiClients["rollouts"];
let routes: ApiClients["routes"];
let audit: ApiClients["audit"];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-kills-"));
  [listen = 0, xds = 0] = await freePorts(2);
  const baseUrl = `http://127.0.0.1:${listen}`;
  ({ rollouts, routes, audit } = clientsOf(baseUrl));
  reporter = startReporter(() => baseUrl, "fake", 800);
});
afterEach(async () => {
  reporter.stop();
  await kill();
  rmSync(directory, { recursive: true, force: true });
});

async function start(): Promise<void> {
  child = spawn(
    process.execPath,
    [
      "dist/control/main.js",
      "serve",
      ...["--listen", `127.0.0.1:${listen}`, "--xds", `127.0.0.1:${xds}`],
      ...["--store", `lmdb:${directory}`],
    ],
    { stdio: "ignore" },
  );
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${listen}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) break;
    await sleep(50);
  }
  proxy = startFakeProxy(xds, "fake");
}

async function kill(): Promise<void> {
  proxy?.close();
  if (child === undefined) return;
  const gone = new Promise((resolve) => child?.on("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  child = undefined;
}

async function state() {
  const { progress } = await rollouts.getRollout({ name: "chat" });
  reporter.weight = progress?.state?.weight ?? 0;
  return progress?.state;
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(JSON.stringify((await state())?.reason));
    await sleep(30);
  }
}

it("D10: skips, doubles and loses no step when it is killed at each of them, and takes none without fresh evidence", {
  timeout: 240_000,
}, async () => {
  await start();
  await routes.applyRoute({ route: routeWithPods(9001, 9002) });
  await rollouts.startRollout({
    rollout: rolloutOf({
      steps: [{ weight: 20 }, { weight: 50 }, { weight: 100 }],
      hold: "1s",
      analysis: { minimumSample: 20, checks: [{ metric: "success-rate", tolerance: 5 }] },
    }),
  });
  for (const step of [0, 1, 2, 3]) {
    await until(async () => (await state())?.step === step);
    // Killed right after the step was written ...
    await kill();
    reporter.silent = true;
    await start();
    // ... and without a report it stays there, for longer than the step would take.
    await sleep(2500);
    expect(await state()).toMatchObject({ phase: "running", step });
    reporter.silent = false;
    // Killed again in the middle of gathering evidence, once.
    if (step === 1) {
      await sleep(600);
      await kill();
      await start();
    }
  }
  await until(async () => (await state())?.phase === "succeeded");
  const { entries } = await audit.listAudit({ name: "chat", limit: 1000 });
  const taken = entries
    .filter(({ action }) => action.startsWith("rollout-"))
    .map(({ action, rolloutAfter, after }) => [
      action,
      rolloutAfter?.step,
      after?.route?.spec?.variants[1]?.weight,
    ])
    .reverse();
  expect(taken).toEqual([
    ["rollout-start", 0, 20],
    ["rollout-step", 1, 50],
    ["rollout-step", 2, 100],
    ["rollout-step", 3, undefined],
    ["rollout-end", 3, undefined],
  ]);
});

it("goes back over a kill as well", { timeout: 120_000 }, async () => {
  await start();
  await routes.applyRoute({ route: routeWithPods(9001, 9002) });
  await rollouts.startRollout({ rollout: rolloutOf({ steps: [{ weight: 20 }, { weight: 100 }] }) });
  await rollouts.rollbackRollout({ name: "chat", reason: "by hand" });
  await kill();
  await start();
  await until(async () => (await state())?.phase === "rolled-back");
  const { state: route } = await routes.getRoute({ name: "chat" });
  expect(route?.route?.spec?.variants.map(({ weight }) => weight)).toEqual([100, 0]);
});

it("is back on the proxies within a second of a rollback", { timeout: 120_000 }, async () => {
  await start();
  await routes.applyRoute({ route: routeWithPods(9001, 9002) });
  await rollouts.startRollout({ rollout: rolloutOf({ steps: [{ weight: 20 }, { weight: 100 }] }) });
  const applied = async () => {
    const { applied } = await routes.getRoute({ name: "chat" });
    return applied?.wanted === 1 && applied.applied === 1;
  };
  await until(applied);
  const begun = performance.now();
  await rollouts.rollbackRollout({ name: "chat" });
  await until(applied);
  expect(performance.now() - begun).toBeLessThan(1000);
});
