import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { trapping } from "../envoy/trapping.ts";
import { type Backend, startBackend } from "./backend.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { gatewayClient } from "./gateway-client.ts";
import { type TrapLoad, trapLoad } from "./trap-load.ts";

// weir.wasm itself, with a trap built in, behind the real control service: what the route
// asks for is what a real Envoy of two workers does when the filter traps under load.

const directory = mkdtempSync(join(tmpdir(), "weir-trap-choice-"));
const wasm = join(directory, "weir.wasm");
let stable: Backend;
let canary: Backend;
/** Has no weight: no one comes here but by what a client claims. */
let next: Backend;

beforeAll(async () => {
  const module = trapping(readFileSync("build/weir.wasm"), 30);
  expect(WebAssembly.validate(new Uint8Array(module))).toBe(true);
  writeFileSync(wasm, module);
  [stable, canary, next] = await Promise.all([
    startBackend("stable"),
    startBackend("canary"),
    startBackend("next"),
  ]);
});
afterAll(async () => {
  await stable?.close();
  await canary?.close();
  await next?.close();
  rmSync(directory, { recursive: true, force: true });
});

const route = (onFilterFailure?: "refuse" | "pass", salt = "a") => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name: "chat", namespace: "test" },
  spec: {
    hosts: ["chat.example.com"],
    service: { name: "llm", port: 8000 },
    variants: [
      { name: "stable", weight: 50, endpoints: [stable.endpoint] },
      { name: "canary", weight: 50, endpoints: [canary.endpoint] },
      { name: "next", weight: 0, endpoints: [next.endpoint] },
    ],
    canary: { stickyBy: [{ header: "x-user-id" }], salt },
    rateLimit: {
      identity: [{ header: "x-tenant-id" }],
      tiers: {
        any: { requestsPerSecond: 1_000_000, burst: 1_000_000 },
        one: { requestsPerSecond: 0.0001, burst: 1 },
      },
      tenants: { blocked: "one" },
      default: "any",
    },
    ...(onFilterFailure ? { onFilterFailure } : {}),
  },
});

/** A gateway with the route, and what becomes of a load on it. */
async function withTraps(
  onFilterFailure: "refuse" | "pass" | undefined,
  traps: number,
  check: (load: TrapLoad, gateway: Gateway) => Promise<void>,
): Promise<void> {
  const gateway = await startGateway({ wasm });
  try {
    await gateway.apply(route(onFilterFailure));
    // What the tenant may ask is used up before anything traps.
    expect(await blocked(gateway.url)).toContain(429);
    const name = `onFilterFailure ${onFilterFailure ?? "absent"}, ${traps} traps`;
    await check(await trapLoad(name, gateway.url, "/v1/x", traps), gateway);
  } finally {
    await gateway.stop();
  }
}

/** Statuses of a tenant who may ask once in hours, over connections that reach both workers. */
async function blocked(url: string): Promise<Set<number>> {
  const client = gatewayClient(url);
  const ask = () => client.get("/v1/x", { "x-tenant-id": "blocked" });
  const statuses: number[] = [];
  for (let i = 0; i < 8; i++)
    statuses.push(...(await Promise.all(Array.from({ length: 16 }, ask))).map((a) => a.status));
  client.close();
  return new Set(statuses);
}

/** Whether any of some requests with a control header got where it points. */
async function believed(url: string): Promise<boolean> {
  const before = next.arrived.length;
  const client = gatewayClient(url);
  const ask = () => client.get("/v1/x", { "x-weir-variant": "next" });
  for (let i = 0; i < 8; i++) await Promise.all(Array.from({ length: 16 }, ask));
  client.close();
  return next.arrived.length > before;
}

async function reloads(admin: string): Promise<number> {
  const stats = await (await fetch(`${admin}/stats?filter=vm_reload_success`)).text();
  return [...stats.matchAll(/vm_reload_success: (\d+)/g)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
}

it.each([undefined, "refuse"] as const)(
  "V9 that refuses (%s) is loaded again and keeps its limits",
  async (asked) => {
    await withTraps(asked, 1, async ({ poisoned, refused, seen, trappedMs }, { admin, url }) => {
      expect(poisoned).toBe(503);
      expect(refused.every(({ atMs }) => atMs > trappedMs)).toBe(true);
      expect(new Set(seen.slice(-8).map(({ status }) => status))).toEqual(new Set([200]));
      expect(await reloads(admin)).toBe(1);
      expect(await blocked(url)).toEqual(new Set([429]));
      expect(await believed(url)).toBe(false);
    });
  },
  120_000,
);

it("V9 that refuses and traps again and again is loaded again at most once a second on each worker", async () => {
  const start = performance.now();
  await withTraps("refuse", 8, async ({ poisoned, refused, seen }, { admin, url }) => {
    expect(poisoned).toBe(503);
    const statuses = seen.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(refused.length).toBeGreaterThan(0);
    const seconds = (performance.now() - start) / 1000;
    const loaded = await reloads(admin);
    expect(loaded).toBeGreaterThanOrEqual(2);
    expect(loaded).toBeLessThanOrEqual(2 * (seconds + 1));
    // Whoever has no limit now waits for the last reload, and then both workers limit again.
    await expect.poll(() => blocked(url), { timeout: 30_000 }).toEqual(new Set([429]));
  });
}, 120_000);

it("V9 that passes refuses no one who comes later, limits no one on its worker, and is back with the next configuration", async () => {
  await withTraps("pass", 1, async ({ poisoned, refused, seen }, gateway) => {
    expect(poisoned).toBe(503);
    // One request at a time on each of eight connections was under way in the VM.
    expect(refused.length).toBeLessThanOrEqual(8);
    const late = seen.slice(-Math.floor(seen.length / 4)).map(({ status }) => status);
    expect(new Set(late)).toEqual(new Set([200]));
    expect(await reloads(gateway.admin)).toBe(0);
    expect(await blocked(gateway.url)).toEqual(new Set([200, 429]));
    expect(await believed(gateway.url)).toBe(true);
    await gateway.apply(route("pass", "b"));
    expect(await believed(gateway.url)).toBe(false);
    expect(await blocked(gateway.url)).toEqual(new Set([429]));
  });
}, 120_000);
