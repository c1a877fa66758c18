import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { give, tick, tinyModule } from "../envoy/tiny-module.ts";
import { freePorts } from "../free-ports.ts";
import { startXds, type TestServer } from "../xds/fake-envoy.ts";
import { snapshotWith } from "../xds/snapshots.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

// Each configuration makes root contexts in the workers' VMs beside the old ones,
// which go when their streams have ended: what one of them keeps would add up.
// Beside Weir's filter another Envoy gets the same configurations, in the same
// run, for a filter that does nothing but ask for ticks: what Envoy itself keeps.

/** `npm run test:long` runs all of them. */
const reconfigurations = process.env.WEIR_LONG ? 10_000 : 300;
/**
 * Envoy itself keeps about 1.1 KiB of each configuration of any Wasm filter, and
 * a stopped timer of each root context (envoy/source/extensions/common/wasm/wasm.cc,
 * setTimerPeriod): about 2 KiB with two workers, whatever the configuration's size.
 */
const maxKiBEach = 3;
/** What Weir's filter may keep beyond the one that does nothing. */
const maxOwnKiBEach = 0.5;
/** What the allocator may take at once. */
const maxAtOnceMiB = 5;
const local = (port: number) => ({ host: "127.0.0.1", port });

/** Takes any configuration, ticks once a second, and stops its ticks when it goes: as Weir's does. */
const nothing = tinyModule({
  proxy_on_configure: { params: 2, result: true, code: [...tick(1000), ...give(1)] },
  proxy_on_tick: { params: 1, code: [] },
  proxy_on_delete: { params: 1, code: tick(0) },
});

/** A real Envoy with a filter and a server of its own. */
interface Arm {
  server: TestServer;
  envoy: Envoy;
  client: GatewayClient;
  admin: number;
  /** Publishes weights that no publication before had. */
  reconfigure(i: number): void;
  resident: number[];
  statuses: Record<number, number>;
}

let pods: Pod[];
let weir: Arm;
let empty: Arm;

beforeAll(async () => {
  pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  weir = await startArm("weir", readFileSync("build/weir.wasm"));
  empty = await startArm("empty", nothing);
});
afterAll(async () => {
  for (const arm of [weir, empty]) {
    arm?.client.close();
    await arm?.envoy.stop();
    await arm?.server.close();
  }
  for (const pod of pods) await pod.close();
});

async function startArm(node: string, wasm: Uint8Array): Promise<Arm> {
  const [gateway = 0, admin = 0] = await freePorts(2);
  const text = readFileSync("examples/canary/route.yaml", "utf8")
    .replace("127.0.0.1:9001", `127.0.0.1:${pods[0]?.port}`)
    .replace("127.0.0.1:9002", `127.0.0.1:${pods[1]?.port}`)
    .replace("requestsPerSecond: 100, burst: 200", "requestsPerSecond: 50000, burst: 50000");
  const [route] = parseRoutes(text).routes;
  if (!route) throw new Error("the example is not right");
  const server = await startXds();
  const reconfigure = (i: number) => {
    const canary = 1 + (i % 9900) / 100;
    const stable = Math.round((100 - canary) * 100) / 100;
    server.xds.publish(snapshotWith(route, [stable, canary], gateway, wasm));
  };
  reconfigure(0);
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: bootstrap({ node, xds: local(server.port), admin: local(admin) }),
    admin: local(admin),
    concurrency: 2,
  });
  const client = gatewayClient(`http://127.0.0.1:${gateway}`, 8);
  const arm = { server, envoy, client, admin, reconfigure, resident: [], statuses: {} };
  await inSync(arm);
  while ((await ask(arm).catch(() => 0)) !== 200) await sleep(50);
  return arm;
}

const ask = async ({ client }: Arm) =>
  (await client.get("/v1/models", { "x-tenant-id": "acme" })).status;

async function inSync({ server }: Arm): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (server.fleet.list()[0]?.inSync !== true) {
    if (Date.now() > deadline) throw new Error("not acknowledged within 60 s");
    await sleep(1);
  }
}

function residentMiB({ envoy }: Arm): number {
  const status = readFileSync(`/proc/${envoy.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function liveVms({ admin }: Arm): Promise<string | undefined> {
  const stats = await fetch(`http://127.0.0.1:${admin}/stats?filter=runtime.v8.active`);
  return /active: (\d+)/.exec(await stats.text())?.[1];
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** Median of the last tenth above that of the third one: the first fifth fills caches and pools. */
function growthMiB({ resident }: Arm): number {
  const tenth = Math.floor(resident.length / 10);
  return median(resident.slice(-tenth)) - median(resident.slice(2 * tenth, 3 * tenth));
}

describe("a real Envoy under load", () => {
  it(`takes ${reconfigurations} configurations without a failed request, and its memory grows by no more than with a filter that does nothing`, {
    timeout: 3_600_000,
  }, async () => {
    const arms = [weir, empty];
    let running = true;
    const load = arms.flatMap((arm) =>
      Array.from({ length: 3 }, async () => {
        while (running) {
          const status = await ask(arm);
          arm.statuses[status] = (arm.statuses[status] ?? 0) + 1;
        }
      }),
    );
    let vms: string | undefined;
    for (let i = 1; i <= reconfigurations; i++) {
      for (const arm of arms) arm.reconfigure(i);
      await Promise.all(arms.map(inSync));
      for (const arm of arms) arm.resident.push(residentMiB(arm));
      if (i === reconfigurations >> 1) vms = await liveVms(weir);
    }
    running = false;
    await Promise.all(load);
    await sleep(1000);

    const between = reconfigurations * 0.7;
    const [own, host] = arms.map(growthMiB) as [number, number];
    for (const [name, arm, grown] of [
      ["weir", weir, own],
      ["empty", empty, host],
    ] as const)
      console.log(
        `${name}: ${reconfigurations} configurations, ${arm.statuses[200]} requests: ` +
          `${grown.toFixed(1)} MiB more, ${((grown * 1024) / between).toFixed(2)} KiB each`,
      );
    for (const { statuses } of arms) expect(Object.keys(statuses)).toEqual(["200"]);
    expect(own).toBeLessThan(maxAtOnceMiB + (between * maxKiBEach) / 1024);
    expect(own - host).toBeLessThan(maxAtOnceMiB + (between * maxOwnKiBEach) / 1024);
    expect(await liveVms(weir)).toBe(vms);
  });
});
