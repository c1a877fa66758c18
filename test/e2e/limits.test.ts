import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { type ClientRequest, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

const file = `/tmp/weir-limits-${process.pid}.yaml`;
let up: WeirUp;
let client: GatewayClient;

beforeAll(async () => {
  const route = parse(readFileSync("examples/canary/route.yaml", "utf8"));
  const fast = { requestsPerSecond: 10_000, burst: 10_000 };
  route.spec.rateLimit = {
    identity: [{ header: "x-tenant-id" }],
    tiers: { gold: { ...fast, concurrent: 4 }, silver: { ...fast, concurrent: 8 }, bronze: fast },
    tenants: { acme: "gold", globex: "silver", initech: "silver" },
    default: "bronze",
    concurrent: 12,
  };
  writeFileSync(file, stringify(route));
  up = await weirUp(["--route", file, "--concurrency", "2"]);
  client = gatewayClient(up.gateway, 64);
});
afterAll(async () => {
  client?.close();
  await up?.stop();
  rmSync(file, { force: true });
});

/** Sum of the requests in flight that Envoy's statistics show for a tenant, or for the route. */
async function inFlight(tenant?: string): Promise<number> {
  const text = await (await fetch(`${up.admin}/stats?filter=weir_in_flight`)).text();
  const line = text
    .split("\n")
    .find((each) => (tenant ? each.includes(`tenant=.=${tenant}`) : !each.includes("tenant")));
  return Number(line?.split(": ")[1] ?? 0);
}

/** A stream that runs until it is let go of. */
interface Running {
  status: number;
  request: ClientRequest;
}

/** Starts a completion whose stream lasts for minutes, on a connection of its own. */
function start(tenant: string): Promise<Running> {
  const url = new URL(up.gateway);
  return new Promise((resolve, reject) => {
    const started = request({
      host: url.hostname,
      port: url.port,
      agent: false,
      method: "POST",
      path: "/v1/chat/completions",
      headers: {
        host: "chat.example.com",
        "x-tenant-id": tenant,
        "content-type": "application/json",
      },
    });
    started.on("response", (res) => {
      res.on("error", () => {});
      res.resume();
      resolve({ status: res.statusCode ?? 0, request: started });
    });
    started.on("error", reject);
    started.end(JSON.stringify({ stream: true, messages: [{ content: "hello" }] }));
  });
}

/** Changes how all pods behave, past the gateway. */
async function behave(behaviour: object): Promise<void> {
  const route = JSON.parse(await up.weir("get", "chat", "-o", "json"));
  for (const { endpoints } of route.spec.variants as { endpoints: string[] }[])
    await fetch(`http://${endpoints[0]}/behaviour`, {
      method: "PUT",
      body: JSON.stringify(behaviour),
    });
}

describe("requests in flight", () => {
  beforeAll(() => behave({ tokens: 100_000, tokenGapMs: 50 }));
  afterAll(() => behave({ tokens: 16, tokenGapMs: 10 }));

  it("are limited per tenant over both workers, streams until they end, however they end", async () => {
    const running = await Promise.all(Array.from({ length: 16 }, () => start("acme")));
    const streams = running.filter(({ status }) => status === 200);
    expect(streams).toHaveLength(4);
    expect(running.filter(({ status }) => status === 429)).toHaveLength(12);
    expect(await inFlight("acme")).toBe(4);
    // Two clients hang up in the middle of their streams.
    for (const { request } of streams.splice(0, 2)) request.destroy();
    await expect.poll(() => inFlight("acme"), { timeout: 5000 }).toBe(2);
    const again = await Promise.all(Array.from({ length: 5 }, () => start("acme")));
    expect(again.filter(({ status }) => status === 200)).toHaveLength(2);
    for (const { request } of [...streams, ...again]) request.destroy();
    await expect.poll(() => inFlight("acme"), { timeout: 5000 }).toBe(0);
  });

  it("are limited per route as well, and another's streams count there", async () => {
    const globex = await Promise.all(Array.from({ length: 8 }, () => start("globex")));
    const initech = await Promise.all(Array.from({ length: 8 }, () => start("initech")));
    expect(globex.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(initech.filter(({ status }) => status === 200)).toHaveLength(4);
    expect(initech.filter(({ status }) => status === 503)).toHaveLength(4);
    expect(await inFlight()).toBe(12);
    const refusal = await client.get("/v1/models");
    expect(refusal.status).toBe(503);
    expect(JSON.parse(refusal.body.toString())).toMatchObject({ code: "route_full", status: 503 });
    expect(refusal.headers["retry-after"]).toMatch(/^[1-9]\d?$/);
    for (const { request } of [...globex, ...initech]) request.destroy();
    await expect.poll(() => inFlight(), { timeout: 5000 }).toBe(0);
  });

  it("B17 free their place when the pod dies in the middle of a stream", async () => {
    await behave({ tokens: 20, cutRate: 1 });
    const running = await Promise.all(Array.from({ length: 4 }, () => start("acme")));
    expect(running.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    await expect.poll(() => inFlight("acme"), { timeout: 5000 }).toBe(0);
    await behave({ tokens: 100_000, cutRate: 0 });
  });

  it("B20 leave nothing behind after a thousand resets before any answer", async () => {
    await behave({ firstTokenMs: 2000 });
    for (let round = 0; round < 20; round++) {
      const url = new URL(up.gateway);
      const rapid = Array.from({ length: 50 }, () => {
        const each = request({
          host: url.hostname,
          port: url.port,
          agent: false,
          method: "POST",
          path: "/v1/chat/completions",
          headers: { host: "chat.example.com", "x-tenant-id": "globex" },
        });
        each.on("error", () => {});
        each.end("{}");
        return each;
      });
      await sleep(20);
      for (const each of rapid) each.destroy();
    }
    await behave({ firstTokenMs: 20 });
    await expect.poll(() => inFlight(), { timeout: 10_000 }).toBe(0);
    expect(await inFlight("globex")).toBe(0);
  });

  it("survive a new configuration: places taken before it are free after it", async () => {
    const running = await Promise.all(Array.from({ length: 4 }, () => start("acme")));
    await up.weir("shift", "chat", "canary=30", "--wait");
    expect((await start("acme")).status).toBe(429);
    for (const { request } of running) request.destroy();
    await expect.poll(() => inFlight("acme"), { timeout: 5000 }).toBe(0);
  });
});
