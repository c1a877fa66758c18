import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { manyRoutes } from "../filters/many-routes.ts";
import { type Backend, startBackend } from "./backend.ts";
import { startPlainEnvoy } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

const wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
/** No machine so slow or so busy that this means anything but work that grows with the square of the routes. */
const saneMs = 5_000;
const routeCount = 2_000;
const probes = 8;
/** Below the thousand requests a second that the tenant may send. */
const probePauseMs = 10;

const directory = mkdtempSync(join(tmpdir(), "weir-many-routes-"));
const file = join(directory, "ecds.json");
let pod: Backend;
let proxy: Awaited<ReturnType<typeof startPlainEnvoy>>;
let client: GatewayClient;

/** Has Envoy's ECDS hand out a configuration: it sees a file that is put in place of another. */
function publish(configuration: { revision: string }): void {
  const resource = {
    "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
    name: "weir",
    typed_config: {
      "@type": wasmType,
      config: {
        name: "weir",
        root_id: "weir",
        vm_config: {
          vm_id: "weir",
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: "build/weir.wasm" } },
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: JSON.stringify(configuration),
        },
      },
    },
  };
  const next = `${file}.next`;
  writeFileSync(
    next,
    JSON.stringify({ version_info: configuration.revision, resources: [resource] }),
  );
  renameSync(next, file);
}

const stats = async (filter: string) =>
  (await fetch(`${proxy.admin}/stats?filter=${filter}`)).text();

/** The longest turn so far of each worker's event loop, in milliseconds: so long nothing else got on. */
async function maxTurnsMs(): Promise<number[]> {
  // Asking has Envoy gather what the workers counted, for whoever asks next.
  await stats("loop_duration_us");
  const text = await stats("worker_[0-9]+.dispatcher.loop_duration_us");
  return [...text.matchAll(/P100\([^,]+,([\d.]+)\)/g)].map(([, us]) => Number(us) / 1000);
}

/** Time on a processor of each worker so far, in milliseconds: what others do on this machine is not in it. */
function workedMs(): number[] {
  const tasks = `/proc/${proxy.envoy.pid}/task`;
  return readdirSync(tasks)
    .filter((task) => readFileSync(`${tasks}/${task}/comm`, "utf8").startsWith("wrk:worker"))
    .map((task) => Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]) / 1e6);
}

const shown = (each: readonly number[]) => each.map((ms) => ms.toFixed(0)).join(" and ");

beforeAll(async () => {
  pod = await startBackend("pod");
  publish(manyRoutes(1));
  proxy = await startPlainEnvoy(
    [
      {
        name: "weir",
        config_discovery: {
          config_source: { path_config_source: { path: file }, resource_api_version: "V3" },
          type_urls: [wasmType],
        },
      },
    ],
    { cluster: "pod", timeout: "30s" },
    { pod: pod.endpoint },
    2,
  );
  client = gatewayClient(proxy.url, probes);
}, 60_000);
afterAll(async () => {
  client?.close();
  await proxy?.envoy.stop();
  await pod?.close();
  rmSync(directory, { recursive: true, force: true });
});

const ask = (index: number, tenant = `acme-${index}`) =>
  client.get("/v1/models", {
    host: `team-${index}.example.com`,
    "x-user-id": "ada",
    "x-tenant-id": tenant,
    "x-answer": JSON.stringify({ bytes: 2 }),
  });

it("takes 2,000 routes by ECDS under load; no request fails, and the longest gap of a worker is told", async () => {
  await expect.poll(async () => (await ask(0)).status, { timeout: 20_000 }).toBe(200);
  let running = true;
  const failures: unknown[] = [];
  let longestMs = 0;
  let requests = 0;
  const load = Array.from({ length: probes }, async () => {
    while (running) {
      const start = performance.now();
      await ask(0).then(
        ({ status }) => status === 200 || failures.push(status),
        (error: unknown) => failures.push(error),
      );
      longestMs = Math.max(longestMs, performance.now() - start);
      requests++;
      await sleep(probePauseMs);
    }
  });
  const figures: string[] = [];
  const steps: [string, ReturnType<typeof manyRoutes>][] = [
    ["one route", manyRoutes(1)],
    ["from one route to 2,000", manyRoutes(routeCount)],
    ["2,000 routes to 2,000 that are like them", { ...manyRoutes(routeCount), revision: "again" }],
    ["back to one route", manyRoutes(1)],
  ];
  let reloads = 0;
  for (const [name, configuration] of steps) {
    longestMs = 0;
    const before = requests;
    const workedBefore = workedMs();
    if (name !== "one route") publish(configuration);
    // Envoy counts a reload once all of its workers have it.
    const reloaded = async () =>
      Number(/config_reload: (\d+)/.exec(await stats("config_reload"))?.[1] ?? 0);
    const wanted = ++reloads;
    await expect.poll(reloaded, { timeout: 60_000, interval: 100 }).toBeGreaterThanOrEqual(wanted);
    // Whatever the workers still had to do, each connection was answered since.
    const then = requests;
    const worked = workedMs().map((ms, i) => ms - (workedBefore[i] ?? 0));
    await expect
      .poll(() => requests - then, { timeout: 60_000, interval: 20 })
      .toBeGreaterThan(5 * probes);
    // The last route refuses strangers, where it is known.
    const last = await Promise.all(
      Array.from({ length: 2 * probes }, () => ask(routeCount - 1, "stranger")),
    );
    const status = configuration.routes.length === routeCount ? 429 : 200;
    expect(last.map((answer) => answer.status)).toEqual(last.map(() => status));
    const turns = await maxTurnsMs();
    expect(turns).toHaveLength(2);
    figures.push(
      `${name}: longest turn of a worker so far ${shown(turns)} ms, ${shown(worked)} ms on a processor in all; slowest of ${requests - before} requests ${longestMs.toFixed(0)} ms`,
    );
    for (const ms of turns) expect(ms).toBeLessThan(saneMs);
  }
  running = false;
  await Promise.all(load);
  console.log(figures.join("\n"));
  expect(failures).toEqual([]);
}, 300_000);
