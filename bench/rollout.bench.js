// What rollouts cost: the control service's CPU while 1,000 proxies report once a
// second, and the time of one decision over as many.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { appliedIn } from "#control/api/index.js";
import { ReportRequestSchema } from "#control/gen/weir/v1/report_pb.js";
import { RolloutSchema } from "#control/gen/weir/v1/rollout_pb.js";
import { RouteStateSchema } from "#control/gen/weir/v1/service_pb.js";
import { createLedger } from "#control/report/index.js";
import { begin, createEngine, writeRollout } from "#control/rollout/index.js";
import { createSynthetic, goodProfile, seededRandom } from "#control/rollout/simulate/synthetic.js";
import { draftRoute, parseRoutes } from "#control/route/index.js";
import { openStore } from "#control/store/index.js";
import { buildResources, createFleet, createSnapshot, resourceTypes } from "#control/xds/index.js";
import { interval, median, show } from "./statistics.js";

const proxies = Number(process.env.BENCH_PROXIES ?? 1000);
const seconds = Number(process.env.BENCH_SECONDS ?? 20);
const route = onlyRoute(readFileSync("examples/rollout/route.yaml", "utf8"));
const rollout = fromJson(RolloutSchema, {
  apiVersion: "weir.dev/v1alpha1",
  kind: "Rollout",
  metadata: { name: "chat", namespace: "inference" },
  spec: { canary: "canary", stable: "stable", steps: [{ weight: 50 }] },
});

/** @param {string} text */
function onlyRoute(text) {
  const [first] = parseRoutes(text).routes;
  if (first === undefined) throw new Error("the example has no route");
  return first;
}

/** @param {number} index */
function proxy(index) {
  return createSynthetic({
    node: `proxy-${index}`,
    route: "inference/chat",
    stable: "stable",
    canary: "canary",
    stableProfile: goodProfile,
    canaryProfile: goodProfile,
    random: seededRandom(index),
    epoch: (BigInt(Date.now()) * 1_000_000n).toString(16).padStart(16, "0"),
  });
}

export async function run() {
  await reports();
  await decisions();
}

async function reports() {
  const port = 21_300;
  const child = spawn(
    process.execPath,
    [
      "dist/control/main.js",
      "serve",
      ...["--listen", `127.0.0.1:${port}`, "--xds", "127.0.0.1:21301", "--store", "memory"],
    ],
    { stdio: "ignore" },
  );
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  try {
    while (!(await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok)
      await sleep(50);
    const fleet = Array.from({ length: proxies }, (_, i) => proxy(i));
    // Bodies are made before the clock starts: this process is not what is measured.
    const bodies = fleet.map((each) => {
      each.answer(200, 50);
      const first = JSON.stringify(toJson(ReportRequestSchema, each.report(1000, "r")));
      each.answer(20, 50);
      return [first, JSON.stringify(toJson(ReportRequestSchema, each.report(2000, "r")))];
    });
    let failed = 0;
    let answered = 0;
    /** @param {string} body */
    const post = (body) =>
      new Promise((resolve) => {
        const req = request(
          {
            ...{ port, agent, method: "POST", path: "/weir.v1.ReportService/Report" },
            headers: { "content-type": "application/json" },
          },
          (res) => {
            if (res.statusCode === 200) answered++;
            else failed++;
            res.resume().on("end", resolve);
          },
        );
        req.on("error", () => resolve(failed++));
        req.end(body);
      });
    for (const [first] of bodies) await post(first ?? "");
    answered = 0;
    const before = cpuSeconds(child.pid ?? 0);
    const start = performance.now();
    for (let second = 0; second < seconds; second++)
      for (let i = 0; i < proxies; i++) {
        const dueMs = start + second * 1000 + (i * 1000) / proxies;
        if (performance.now() < dueMs) await sleep(dueMs - performance.now());
        void post(bodies[i]?.[second % 2] ?? "");
      }
    while (answered + failed < proxies * seconds) await sleep(10);
    // By what each report cost: a machine that is busy may answer late.
    const cpuMs = ((cpuSeconds(child.pid ?? 0) - before) * 1000) / answered;
    const tookS = (performance.now() - start) / 1000;
    const bytes = bodies.reduce((sum, [, body = ""]) => sum + body.length, 0) / proxies;
    console.log(
      `${proxies} proxies reporting ${Math.round(bytes)} bytes once a second: ${((cpuMs * proxies) / 1000).toFixed(2)} cores (${cpuMs.toFixed(2)} ms a report; ${answered} answered in ${tookS.toFixed(1)} s, ${failed} failed)`,
    );
  } finally {
    agent.destroy();
    child.kill("SIGKILL");
  }
}

/** proc(5): fields 14 and 15 of stat, in ticks of 10 ms. @param {number} pid */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function decisions() {
  const fleet = createFleet();
  const ledger = createLedger();
  const store = openStore("memory");
  const author = { principal: "bench", reason: "" };
  const name = "inference/chat";
  const stored = await store.put(name, draftRoute(route, undefined), "0", "apply", author);
  await writeRollout(store, name, {
    before: undefined,
    after: begin(rollout, route, new Date()),
    route: create(RouteStateSchema, stored),
    action: "rollout-start",
    author,
  });
  const state = await store.get(name);
  if (state === undefined) throw new Error("the route was not stored");
  const address = { host: "127.0.0.1", port: 1 };
  const weir = { wasm: { bytes: Buffer.from("bench") }, config: "{}" };
  const snapshot = createSnapshot(
    buildResources([state], { gateway: address, report: address, weir }),
  );
  for (let i = 0; i < proxies; i++) {
    const made = proxy(i);
    const node = `proxy-${i}`;
    const stream = fleet.connected({ id: node, cluster: "bench", version: "1", scope: ["*"] });
    for (const { name: type } of resourceTypes) {
      stream.sent(type, snapshot[type].version);
      stream.acked(type, snapshot[type].version);
    }
    made.answer(200, 50);
    ledger.add(made.report(1000, "r"));
    fleet.reported(node, "r");
  }
  const published = () => ({
    snapshot,
    revision: "r",
    etags: new Map([[name, state.etag]]),
    held: new Map(),
  });
  const peers = {
    proxyViews: () => [],
    proxies: () => [],
    has: () => false,
    granted: () => ({ leases: [], loads: [] }),
    onChange: () => () => {},
  };
  const applied = () => appliedIn({ fleet, published, peers }, () => true);
  const { behind } = applied()(name, state);
  if (behind.length > 0) throw new Error(`${behind[0]?.node}: ${behind[0]?.reason}`);
  const engine = createEngine({
    store,
    fleet: {
      applied: (each, state) => applied()(each, state),
      observation: ledger.observation,
      tenants: ledger.tenants,
      silentMs: () => 0,
    },
    monotonicMs: () => performance.now(),
    now: () => new Date(),
    log: () => {},
  });
  const tookMs = [];
  for (let i = 0; i < 220; i++) {
    const start = performance.now();
    await engine.tick();
    if (i >= 20) tookMs.push(performance.now() - start);
  }
  const sorted = tookMs.toSorted((a, b) => a - b);
  console.log(
    `ms of a decision over ${proxies} proxies: median ${show(interval(tookMs, median))}, p99 ${sorted[Math.floor(sorted.length * 0.99)]?.toFixed(2)}`,
  );
}
