import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { startXds, type TestServer } from "../xds/fake-envoy.ts";
import { snapshotWith } from "../xds/snapshots.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { freePorts } from "./weir-up.ts";

// Each configuration makes root contexts in the workers' VMs beside the old ones,
// which go when their streams have ended: what one of them keeps would add up.

/** `npm run test:long` runs all of them. */
const reconfigurations = process.env.WEIR_LONG ? 10_000 : 300;
const mostGrowthMiB = 6;
const local = (port: number) => ({ host: "127.0.0.1", port });

let pods: Pod[];
let server: TestServer;
let envoy: Envoy;
let client: GatewayClient;
let admin: number;
/** Publishes weights that no publication before had. */
let reconfigure: (i: number) => void;

beforeAll(async () => {
  pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  const [gateway = 0, adminPort = 0] = await freePorts(2);
  admin = adminPort;
  const text = readFileSync("examples/canary/route.yaml", "utf8")
    .replace("127.0.0.1:9001", `127.0.0.1:${pods[0]?.port}`)
    .replace("127.0.0.1:9002", `127.0.0.1:${pods[1]?.port}`)
    .replace("requestsPerSecond: 100, burst: 200", "requestsPerSecond: 50000, burst: 50000");
  const [route] = parseRoutes(text).routes;
  if (!route) throw new Error("the example is not right");
  const wasm = readFileSync("build/weir.wasm");
  server = await startXds();
  reconfigure = (i) => {
    const canary = 1 + (i % 9900) / 100;
    const stable = Math.round((100 - canary) * 100) / 100;
    server.xds.publish(snapshotWith(route, [stable, canary], gateway, wasm));
  };
  reconfigure(0);
  envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: bootstrap({ node: "soak", xds: local(server.port), admin: local(admin) }),
    admin: local(admin),
    concurrency: 2,
  });
  client = gatewayClient(`http://127.0.0.1:${gateway}`, 8);
  await inSync();
  while ((await ask().catch(() => 0)) !== 200) await sleep(50);
});
afterAll(async () => {
  client?.close();
  await envoy?.stop();
  await server?.close();
  for (const pod of pods) await pod.close();
});

const ask = async () => (await client.get("/v1/models", { "x-tenant-id": "acme" })).status;

async function inSync(): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (server.fleet.list()[0]?.inSync !== true) {
    if (Date.now() > deadline) throw new Error("not acknowledged within 60 s");
    await sleep(1);
  }
}

function residentMiB(): number {
  const status = readFileSync(`/proc/${envoy.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function liveVms(): Promise<string | undefined> {
  const stats = await fetch(`http://127.0.0.1:${admin}/stats?filter=runtime.v8.active`);
  return /active: (\d+)/.exec(await stats.text())?.[1];
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

describe("a real Envoy under load", () => {
  it(`takes ${reconfigurations} configurations without a failed request, and its memory stays flat`, {
    timeout: 3_600_000,
  }, async () => {
    let running = true;
    const statuses: Record<number, number> = {};
    const load = Array.from({ length: 4 }, async () => {
      while (running) {
        const status = await ask();
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    });
    const resident: number[] = [];
    let vms: string | undefined;
    for (let i = 1; i <= reconfigurations; i++) {
      reconfigure(i);
      await inSync();
      resident.push(residentMiB());
      if (i === reconfigurations >> 1) vms = await liveVms();
    }
    running = false;
    await Promise.all(load);
    await sleep(1000);

    const tenth = Math.floor(reconfigurations / 10);
    // The first fifth fills caches and the allocator's pools.
    const early = median(resident.slice(2 * tenth, 3 * tenth));
    const late = median(resident.slice(-tenth));
    console.log(
      `${reconfigurations} configurations, ${statuses[200]} requests: ` +
        `${early.toFixed(1)} MiB resident early, ${late.toFixed(1)} MiB late`,
    );
    expect(Object.keys(statuses)).toEqual(["200"]);
    expect(late - early).toBeLessThan(mostGrowthMiB);
    expect(await liveVms()).toBe(vms);
  });
});
