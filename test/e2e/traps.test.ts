import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Callback, give, tinyModule, unreachable } from "../envoy/tiny-module.ts";
import { type Backend, startBackend } from "./backend.ts";
import { startPlainEnvoy } from "./gateway.ts";
import { gatewayClient } from "./gateway-client.ts";
import { trapLoad } from "./trap-load.ts";

// Weir's modules have no trap that input could reach; a neighbour in the same
// chain may have one. What becomes of the stream, and of Weir beside it?

const directory = mkdtempSync(join(tmpdir(), "weir-traps-"));
let pod: Backend;
beforeAll(async () => {
  pod = await startBackend("pod");
});
afterAll(async () => {
  await pod?.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Each callback that a request comes by, as one that traps. */
const traps: Record<string, Callback> = {
  proxy_on_request_headers: { params: 3, result: true, code: unreachable },
  proxy_on_request_body: { params: 3, result: true, code: unreachable },
  proxy_on_response_headers: { params: 3, result: true, code: unreachable },
  proxy_on_response_body: { params: 3, result: true, code: unreachable },
  proxy_on_log: { params: 1, code: unreachable },
  proxy_on_delete: { params: 1, code: unreachable },
};
/** Three requests, and one more in a thousand seconds. */
const weirConfig = {
  revision: "r",
  routes: [
    {
      name: "n/traps",
      hosts: ["*"],
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { few: { requestsPerSecond: 0.001, burst: 3 } },
        default: "few",
      },
    },
  ],
};

type Policy = "FAIL_RELOAD" | "FAIL_CLOSED" | "FAIL_OPEN";

/** No limit for strangers, and a tenant of whom nothing passes. */
const openConfig = {
  revision: "r",
  routes: [
    {
      name: "n/traps",
      hosts: ["*"],
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { any: { requestsPerSecond: 1_000_000, burst: 1_000_000 }, none: {} },
        tenants: { blocked: "none" },
        default: "any",
      },
    },
  ],
};

function filter(
  name: string,
  file: string,
  configuration: object,
  policy: Policy = "FAIL_RELOAD",
): object {
  const type = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
  return {
    name,
    typed_config: {
      "@type": type,
      config: {
        name,
        root_id: name,
        failure_policy: policy,
        vm_config: {
          vm_id: name,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: file } },
        },
        configuration: {
          "@type": "type.googleapis.com/google.protobuf.StringValue",
          value: JSON.stringify(configuration),
        },
      },
    },
  };
}

async function behindWeir(callback: string) {
  const file = join(directory, `${callback}.wasm`);
  const module = tinyModule({
    proxy_on_configure: { params: 2, result: true, code: give(1) },
    [callback]: traps[callback] as Callback,
  });
  expect(WebAssembly.validate(module)).toBe(true);
  writeFileSync(file, module);
  const proxy = await startPlainEnvoy(
    [filter("weir", "build/weir.wasm", weirConfig), filter("trap", file, {})],
    { cluster: "pod", timeout: "5s" },
    { pod: pod.endpoint },
  );
  return { ...proxy, client: gatewayClient(proxy.url) };
}

/** Traps for a request of 30 headers or more: local.get 1, i32.const 30, i32.ge_u, if, unreachable, end. */
const onDemand: Callback = {
  params: 3,
  result: true,
  code: [0x20, 1, 0x41, 30, 0x4f, 0x04, 0x40, ...unreachable, 0x0b, ...give(0)],
};

/** A load over two workers of which one traps a third in. */
async function underLoad(policy: Policy) {
  const file = join(directory, `${policy}.wasm`);
  const module = tinyModule({
    proxy_on_configure: { params: 2, result: true, code: give(1) },
    proxy_on_request_headers: onDemand,
  });
  writeFileSync(file, module);
  const { url, envoy } = await startPlainEnvoy(
    [filter("weir", "build/weir.wasm", openConfig), filter("trap", file, {}, policy)],
    { cluster: "pod", timeout: "5s" },
    { pod: pod.endpoint },
    2,
  );
  const load = await trapLoad(policy, url);
  const client = gatewayClient(url);
  // Weir's own VM, on both workers, decides as before.
  for (let i = 0; i < 16; i++)
    expect((await client.get("/v1/x", { "x-tenant-id": "blocked" })).status).toBe(429);
  client.close();
  await envoy.stop();
  return load;
}

describe("a filter beside Weir's", () => {
  it.each(Object.keys(traps))(
    "V1 that traps in %s costs no stream its end, and Weir's VM nothing",
    async (callback) => {
      const { client, envoy } = await behindWeir(callback);
      const ask = () =>
        client
          .send("POST", "/v1/x", { host: "traps", "content-type": "text/plain" }, "body")
          .then(({ status }) => status)
          .catch(() => 0);
      const start = performance.now();
      const statuses: number[] = [];
      for (let i = 0; i < 5; i++) statuses.push(await ask());
      // Three pass Weir, whatever becomes of them behind it; it refuses the rest.
      expect(statuses.slice(3)).toEqual([429, 429]);
      for (const status of statuses.slice(0, 3)) expect([0, 200, 500, 503]).toContain(status);
      expect(performance.now() - start).toBeLessThan(20_000);
      client.close();
      await envoy.stop();
    },
  );

  it("V2 that traps each time is backed off from, while Envoy answers and its own state says so", async () => {
    const { client, envoy, admin } = await behindWeir("proxy_on_request_headers");
    const until = Date.now() + 2500;
    const seen = new Set<number>();
    for (let i = 0; Date.now() < until; i++) {
      const tenant = { host: "traps", "x-tenant-id": `t${i}` };
      seen.add(await client.get("/v1/x", tenant).then(({ status }) => status));
    }
    expect([...seen].sort()).toEqual([429, 503]);
    const stats = await (await fetch(`${admin}/stats?filter=vm_reload`)).text();
    const value = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(stats)?.[1] ?? 0);
    // A reload a second at the most, however many requests there were.
    expect(value("vm_reload_success")).toBeGreaterThanOrEqual(1);
    expect(value("vm_reload_success")).toBeLessThanOrEqual(4);
    client.close();
    await envoy.stop();
  });

  it("V9 that reloads refuses on its worker until it is there again, and the other worker serves", async () => {
    const { seen, refused, poisoned, trappedMs, lastMs } = await underLoad("FAIL_RELOAD");
    expect(poisoned).toBe(503);
    expect(refused.every(({ atMs }) => atMs > trappedMs)).toBe(true);
    // Served again before the load ended, on all connections.
    expect(seen.slice(-8).map(({ status }) => status)).not.toContain(503);
    const meanwhile = seen.filter(({ atMs }) => atMs > trappedMs && atMs <= lastMs);
    if (refused.length > 0) expect(meanwhile.some(({ status }) => status !== 503)).toBe(true);
  });

  it("V9 that fails closed refuses on its worker for good, and the other worker serves", async () => {
    const { seen, refused, poisoned, trappedMs } = await underLoad("FAIL_CLOSED");
    expect(poisoned).toBe(503);
    expect(refused.length).toBeGreaterThan(0);
    const after = seen.filter(({ atMs }) => atMs > trappedMs);
    const late = after.slice(-Math.floor(after.length / 4)).map(({ status }) => status);
    expect(late).toContain(503);
  });

  it("V9 that fails open refuses what was under way in its VM, and no one who comes later", async () => {
    const { seen, refused, poisoned } = await underLoad("FAIL_OPEN");
    expect(poisoned).toBe(503);
    // One request at a time on each of eight connections.
    expect(refused.length).toBeLessThanOrEqual(8);
    const late = seen.slice(-Math.floor(seen.length / 4)).map(({ status }) => status);
    expect(new Set(late)).toEqual(new Set([200]));
  });
});
