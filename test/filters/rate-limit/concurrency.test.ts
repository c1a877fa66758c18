import { describe, expect, it } from "vitest";
import { createSharedState } from "../../host/proxy.ts";
import { type OpenStream, startWorker, type Worker } from "../../host/worker.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const gold = requestHeaders({ "x-tenant-id": "acme" });

/** Gold tenants may have 4 requests in flight; others, and the route, as given. */
function limited(limits: { route?: number; bronze?: number; gold?: number } = {}) {
  const config = fullConfig();
  const { rateLimit } = config.routes[0];
  rateLimit.tiers.gold.concurrent = limits.gold ?? 4;
  if (limits.bronze !== undefined) rateLimit.tiers.bronze.concurrent = limits.bronze;
  if (limits.route !== undefined) rateLimit.concurrent = limits.route;
  return config;
}

const proxyOf = (config: object, workers = 1) => configuredProxy("weir-full", config, workers);
const admitted = ({ action }: OpenStream) => action === 0;

function inFlight({ shared }: ReturnType<typeof proxyOf>, label: string): bigint | undefined {
  return [...shared.metrics.values()].find(
    ({ name }) => name.endsWith("weir_in_flight") && name.includes(label),
  )?.value;
}

describe("requests in flight of a tenant", () => {
  it("are as many as its tier allows, over all workers, and no more", () => {
    const proxy = proxyOf(limited(), 2);
    const open = Array.from({ length: 10 }, (_, i) => (proxy.workers[i % 2] as Worker).open(gold));
    expect(open.map(admitted)).toEqual([true, true, true, true, ...Array(6).fill(false)]);
    expect(inFlight(proxy, "acme")).toBe(4n);
    for (const stream of open) stream.end();
    expect(inFlight(proxy, "acme")).toBe(0n);
  });

  it("give their place to the next when they end, once, however often that is said", () => {
    const { workers } = proxyOf(limited());
    const worker = workers[0] as Worker;
    const first = worker.open(gold);
    for (let i = 0; i < 3; i++) worker.open(gold);
    expect(admitted(worker.open(gold))).toBe(false);
    first.end();
    first.end();
    expect(admitted(worker.open(gold))).toBe(true);
    expect(admitted(worker.open(gold))).toBe(false);
  });

  it("do not count against other tenants", () => {
    const { workers } = proxyOf(limited());
    const worker = workers[0] as Worker;
    for (let i = 0; i < 4; i++) worker.open(gold);
    expect(admitted(worker.open(gold))).toBe(false);
    expect(admitted(worker.open(requestHeaders({ "x-tenant-id": "internal" })))).toBe(true);
  });

  it("are shared by all strangers", () => {
    const { workers } = proxyOf(limited({ bronze: 2 }));
    const worker = workers[0] as Worker;
    const open = Array.from({ length: 5 }, (_, i) =>
      worker.open(requestHeaders({ "x-tenant-id": `stranger-${i}` })),
    );
    expect(open.filter(admitted)).toHaveLength(2);
  });

  it("cost no request token when they are refused", () => {
    const config = limited({ bronze: 2 });
    const { workers } = proxyOf(config);
    const worker = workers[0] as Worker;
    const open = [worker.open(requestHeaders()), worker.open(requestHeaders())];
    for (let i = 0; i < 100; i++) expect(worker.open(requestHeaders()).reply?.status).toBe(429);
    for (const stream of open) stream.end();
    // Of the burst of 10 two are gone.
    const rest = Array.from({ length: 20 }, () => worker.request(requestHeaders()));
    expect(rest.filter(({ action }) => action === 0)).toHaveLength(8);
  });

  it("cost none either while shared data fails", () => {
    const { workers } = proxyOf(limited({ bronze: 2 }));
    const worker = workers[0] as Worker;
    worker.setFault((call) => (call.includes("shared_data") ? 10 : undefined));
    const open = [worker.open(requestHeaders()), worker.open(requestHeaders())];
    for (let i = 0; i < 100; i++) worker.open(requestHeaders());
    for (const stream of open) stream.end();
    const rest = Array.from({ length: 20 }, () => worker.request(requestHeaders()));
    expect(rest.filter(({ action }) => action === 0)).toHaveLength(8);
  });

  it("are limited by each worker for itself where the host keeps no statistics", () => {
    const { workers } = proxyOf(limited(), 2);
    for (const worker of workers) {
      worker.setFault((call) => (call === "proxy_get_metric" ? 1 : undefined));
      const open = Array.from({ length: 10 }, () => worker.open(gold));
      expect(open.filter(admitted)).toHaveLength(4);
    }
  });

  it("keep their places over a new configuration, and the new limit holds for the sum", () => {
    const { workers } = proxyOf(limited());
    const worker = workers[0] as Worker;
    const old = Array.from({ length: 4 }, () => worker.open(gold));
    expect(worker.configure(2, JSON.stringify({ ...limited({ gold: 6 }), revision: "next" }))).toBe(
      true,
    );
    worker.remove(1);
    expect([1, 2, 3].map(() => admitted(worker.open(gold)))).toEqual([true, true, false]);
    for (const stream of old) stream.end();
    expect([1, 2, 3, 4, 5].map(() => admitted(worker.open(gold)))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it("free their places though the tenant is gone from the configuration", () => {
    const proxy = proxyOf(limited());
    const worker = proxy.workers[0] as Worker;
    const open = worker.open(gold);
    const next = limited();
    next.routes = [];
    expect(worker.configure(2, JSON.stringify(next))).toBe(true);
    worker.remove(1);
    open.end();
    expect(inFlight(proxy, "acme")).toBe(0n);
  });
});

describe("requests in flight of a route", () => {
  it("are limited beside those of the tenants, with 503, as that is no one's own limit", () => {
    const proxy = proxyOf(limited({ route: 6 }));
    const worker = proxy.workers[0] as Worker;
    const open = Array.from({ length: 4 }, () => worker.open(gold));
    expect(worker.open(gold).reply?.status).toBe(429);
    for (let i = 0; i < 2; i++)
      expect(admitted(worker.open(requestHeaders({ "x-tenant-id": "internal" })))).toBe(true);
    const { reply } = worker.open(requestHeaders());
    expect(reply).toMatchObject({ status: 503, details: "weir_route_full" });
    const headers = Object.fromEntries(reply?.headers ?? []);
    expect(headers).toMatchObject({
      "ratelimit-policy": '"route-concurrent";q=6;qu="concurrent-requests"',
      "content-type": "application/problem+json",
    });
    expect(JSON.parse(reply?.body ?? "")).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
      status: 503,
      code: "route_full",
      "violated-policies": ["route-concurrent"],
    });
    for (const stream of open) stream.end();
    expect(admitted(worker.open(requestHeaders()))).toBe(true);
  });
});

describe("a refusal", () => {
  it("says that it is about requests in flight", () => {
    const { workers } = proxyOf(limited());
    const worker = workers[0] as Worker;
    for (let i = 0; i < 4; i++) worker.open(gold);
    const { reply } = worker.open(gold);
    const headers = Object.fromEntries(reply?.headers ?? []);
    expect(reply).toMatchObject({ status: 429, details: "weir_concurrency_limited" });
    expect(headers["ratelimit-policy"]).toBe('"concurrent";q=4;qu="concurrent-requests"');
    expect(headers.ratelimit).toBe(`"concurrent";r=0;t=${headers["retry-after"]}`);
    expect(JSON.parse(reply?.body ?? "")).toMatchObject({
      status: 429,
      code: "concurrency_limited",
      "violated-policies": ["concurrent"],
      detail: expect.stringContaining("limit of requests in flight of tier gold reached"),
      request_id: "3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
    });
  });

  it("asks to wait as long as a place takes to come free, as measured", () => {
    const { workers, shared } = proxyOf(limited());
    const worker = workers[0] as Worker;
    // Four streams of 20 s each: one ends every 5 s.
    const open = Array.from({ length: 4 }, () => worker.open(gold));
    for (let second = 0; second < 60; second++) {
      shared.nowNs += 1_000_000_000n;
      worker.tick(1);
      if (second % 5 !== 4) continue;
      open.shift()?.end();
      open.push(worker.open(gold));
    }
    const waits = Array.from({ length: 50 }, (_, i) => {
      const { reply } = worker.open(
        requestHeaders({ "x-tenant-id": "acme", "x-request-id": `id-${i}` }),
      );
      return Number(Object.fromEntries(reply?.headers ?? [])["retry-after"]);
    });
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(3);
    expect(Math.max(...waits)).toBeLessThanOrEqual(12);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });
});

it("agrees with a simple model over 50,000 streams that begin and end in any order", () => {
  const proxy = proxyOf(limited({ gold: 20, bronze: 3, route: 40 }), 3);
  const tenants = ["acme", "internal", "stranger"];
  const limitOf: Record<string, number> = { acme: 20, internal: 20, stranger: 3 };
  const held: Record<string, number> = { acme: 0, internal: 0, stranger: 0 };
  const open: { tenant: string; stream: OpenStream }[] = [];
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let i = 0; i < 50_000; i++) {
    proxy.shared.nowNs += 100_000_000n;
    if (random(2) === 0 && open.length > 0) {
      const [{ tenant, stream }] = open.splice(random(open.length), 1) as [(typeof open)[0]];
      stream.end();
      held[tenant] = (held[tenant] ?? 0) - 1;
      continue;
    }
    const tenant = tenants[random(3)] as string;
    const worker = proxy.workers[random(3)] as Worker;
    const stream = worker.open(requestHeaders({ "x-tenant-id": tenant }));
    // A bucket of 5 a second may be empty; what counts here is who is in.
    if (stream.reply?.details === "weir_rate_limited") {
      stream.end();
      continue;
    }
    const room = (held[tenant] ?? 0) < (limitOf[tenant] ?? 0) && open.length < 40;
    expect(admitted(stream), `step ${i}`).toBe(room);
    if (!room) stream.end();
    else {
      held[tenant] = (held[tenant] ?? 0) + 1;
      open.push({ tenant, stream });
    }
  }
  for (const { stream } of open) stream.end();
  for (const label of ["acme", "internal", "unknown", "chat;.;weir_in_flight"])
    expect(inFlight(proxy, label), label).toBe(0n);
});

it("holds memory by the most streams at once, not by how many there were", () => {
  const { workers } = proxyOf(limited({ gold: 1_000_000, bronze: 0 }));
  const worker = workers[0] as Worker;
  const config = limited({ gold: 1_000_000 });
  config.routes[0].rateLimit.tiers.gold.requestsPerSecond = 1_000_000;
  config.routes[0].rateLimit.tiers.gold.burst = 1_000_000;
  worker.configure(1, JSON.stringify(config));
  const open = Array.from({ length: 5000 }, () => worker.open(gold));
  expect(open.every(admitted)).toBe(true);
  for (const stream of open) stream.end();
  const before = worker.memoryBytes();
  for (let i = 0; i < 200_000; i++) worker.open(gold).end();
  expect(worker.memoryBytes()).toBe(before);
});

it("is refused by weir.wasm, which cannot do it", () => {
  const shared = createSharedState();
  const worker = startWorker(compiled("weir"), shared);
  expect(worker.configure(1, JSON.stringify(limited()))).toBe(false);
  expect(shared.log[0]?.message).toContain(
    "routes[0].rateLimit.tiers.gold.concurrent is an unknown field",
  );
});
