import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { startPod } from "../../control/pods/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import type { Snapshot } from "../../control/xds/snapshot.ts";
import { freePorts } from "../free-ports.ts";
import { routeWithPods } from "../rollout/world.ts";
import { startXds } from "../xds/fake-envoy.ts";
import { snapshotWith } from "../xds/snapshots.ts";
import { gatewayClient } from "./gateway-client.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });
/** By itself an Envoy goes on without what it was not sent for so long. */
const envoysOwnMs = 15_000;
const patience = { timeout: 60_000, interval: 100 };

/** A control service that went away before it had sent everything. */
const without = (snapshot: Snapshot, type: "RDS" | "ECDS"): Snapshot => ({
  ...snapshot,
  [type]: { version: "none", resources: new Map() },
});

it("a proxy that was not sent its routes or its filter takes no request until they are there: none gets 404, none goes unlimited", async () => {
  await Promise.all((["RDS", "ECDS"] as const).map(story));
}, 180_000);

async function story(type: "RDS" | "ECDS"): Promise<void> {
  const xds = await startXds();
  onTestFinished(() => xds.close());
  const [gateway = 0, admin = 0] = await freePorts(2);
  const pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  for (const pod of pods) onTestFinished(() => pod.close());
  const route = routeWithPods(pods[0]?.port ?? 0, pods[1]?.port ?? 0);
  const whole = snapshotWith(route, [90, 10], gateway, readFileSync("build/weir.wasm"));
  xds.xds.publish(() => without(whole, type));
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({ node: "edge", xds: local(xds.port), admin: local(admin) }),
    admin: local(admin),
    concurrency: 1,
  });
  onTestFinished(() => envoy.stop());
  const host = route.spec?.hosts[0] ?? "";
  const ask = async () => {
    const client = gatewayClient(`http://127.0.0.1:${gateway}`, 1);
    try {
      return (await client.get("/v1/models", { host, "x-tenant-id": "acme" })).status;
    } catch {
      return "no connection";
    } finally {
      client.close();
    }
  };
  const stats = async () => (await fetch(`http://127.0.0.1:${admin}/stats`)).text();
  await expect.poll(stats, patience).toContain("listener_manager.lds.update_success: 1");
  const seen = new Set<unknown>();
  for (const sinceMs = performance.now(); performance.now() - sinceMs < envoysOwnMs + 3_000; ) {
    seen.add(await ask());
    await new Promise((next) => setTimeout(next, 200));
  }
  expect([...seen]).toEqual(["no connection"]);
  xds.xds.publish(() => whole);
  await expect.poll(ask, patience).toBe(200);
}
