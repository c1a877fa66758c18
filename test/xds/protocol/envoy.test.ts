import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Envoy, findEnvoy, startEnvoy } from "../../../control/envoy/index.ts";
import { bootstrap, resourceTypes, type Snapshot } from "../../../control/xds/index.ts";
import { freePorts } from "../../free-ports.ts";
import { routeWithPods } from "../../rollout/world.ts";
import { startXds, type TestServer } from "../fake-envoy.ts";
import { snapshotWith } from "../snapshots.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });
const nodes = ["envoy-sotw", "envoy-delta"] as const;
const patience = { timeout: 60_000, interval: 200 };

let server: TestServer;
let envoys: { envoy: Envoy; admin: number }[];
let snapshot: (canary: number, filters?: string) => Snapshot;

beforeAll(async () => {
  const [gateway = 0, ...admins] = await freePorts(3);
  const wasm = readFileSync("build/weir.wasm");
  snapshot = (canary, filters) =>
    snapshotWith(routeWithPods(9001, 9002), [100 - canary, canary], gateway, wasm, filters);
  server = await startXds();
  server.xds.publish(snapshot(10));
  const binary = await findEnvoy(console.log);
  envoys = await Promise.all(
    nodes.map(async (node, i) => {
      const admin = admins[i] ?? 0;
      const options = { node, xds: local(server.port), admin: local(admin), delta: i === 1 };
      const envoy = await startEnvoy({
        binary,
        bootstrap: bootstrap(options),
        admin: local(admin),
        concurrency: 1,
      });
      return { envoy, admin };
    }),
  );
});
afterAll(async () => {
  for (const { envoy } of envoys ?? []) await envoy.stop();
  await server?.close();
});

/** Both proxies run everything of a snapshot, as the server takes it from their answers. */
async function bothRun(wanted: Snapshot): Promise<void> {
  for (const node of nodes)
    for (const { name } of resourceTypes)
      await expect
        .poll(
          () => server.fleet.runs(node, name, wanted[name].version) || `${node} ${name}`,
          patience,
        )
        .toBe(true);
}

/** What a proxy says itself: its filter's configuration and its routes, without versions and times. */
async function dumpOf(admin: number): Promise<unknown> {
  const answer = await fetch(`http://127.0.0.1:${admin}/config_dump?include_eds`);
  const { configs } = (await answer.json()) as { configs: Record<string, unknown>[] };
  const varying = /^(last_updated|version_info|bootstrap)$/;
  return JSON.parse(
    JSON.stringify(
      configs.filter((each) => !String(each["@type"]).includes("BootstrapConfigDump")),
      (key, value) => (varying.test(key) ? undefined : value),
    ),
  );
}

it("envoys of both protocols in one fleet end up with the same, after pushes, refusals and lost connections", async () => {
  await bothRun(snapshot(10));
  for (const [step, canary] of [20, 55, 0, 35, 70].entries()) {
    // Several at once, so that answers are overtaken.
    server.xds.publish(snapshot(canary + 1));
    server.xds.publish(snapshot(canary + 2));
    if (step % 2 === 0) {
      const before = server.nacks.length;
      server.xds.publish(
        snapshot(canary, `{"revision":"bad-${step}","routes":[{"name":"x","hosts":[]}]}`),
      );
      await expect.poll(() => server.nacks.length, patience).toBeGreaterThanOrEqual(before + 2);
    } else server.drop();
    server.xds.publish(snapshot(canary));
    await bothRun(snapshot(canary));
  }
  const [first, second] = await Promise.all(envoys.map(({ admin }) => dumpOf(admin)));
  const text = JSON.stringify(first);
  for (const name of snapshot(70).CDS.resources.keys())
    expect(text).toContain(JSON.stringify(name));
  expect(second).toEqual(first);
});
