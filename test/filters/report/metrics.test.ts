import { fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ReportRequestSchema } from "../../../control/gen/weir/v1/report_pb.ts";
import type { SharedState } from "../../host/proxy.ts";
import type { Worker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { manyRoutes } from "../many-routes.ts";
import { configuredProxy, requestHeaders } from "../module.ts";

const maxMetrics = 32_768;

/** A configuration of that many routes that count one thing each. */
function plainRoutes(count: number, prefix: string): any {
  const routes = Array.from({ length: count }, (_, i) => ({
    name: `${prefix}/${i}`,
    hosts: [`${prefix}-${i}.example.com`],
    canary: { variants: ["stable"], buckets: [{ variant: "stable", count: 10_000 }] },
  }));
  return { revision: prefix, routes };
}

/** Whole numbers below a bound, the same ones for the same seed. */
function below(seed: number): (bound: number) => number {
  const random = generator(seed);
  return (bound) => Math.floor(random() * bound);
}

const ask = (worker: Worker, host: string, tenant = "nobody") =>
  worker.request(
    requestHeaders({
      ":authority": `${host}.example.com`,
      "x-tenant-id": tenant,
      "x-user-id": "u",
    }),
  );

function valuesOf(shared: SharedState): Map<string, bigint> {
  const values = new Map([...shared.metrics.values()].map(({ name, value }) => [name, value]));
  expect(values.size).toBe(shared.metrics.size);
  return values;
}

const requestsOf = (route: string) =>
  `route=.=${route};.;variant=.=stable;.;weir_canary_requests_total`;

describe("2,000 routes in one configuration", () => {
  const { shared, workers } = configuredProxy("weir", manyRoutes(2000), 2);
  const [first, second] = workers as [Worker, Worker];

  it("define one metric, the revision, before anything is counted", () => {
    expect([...shared.metrics.values()].map(({ name }) => name)).toEqual(["weir_config_revision"]);
    expect(shared.definitions).toBe(2);
  });

  it("count each under its own name, as an own count has it", () => {
    const random = below(7);
    const own = new Map<string, bigint>();
    const add = (name: string) => own.set(name, (own.get(name) ?? 0n) + 1n);
    for (let i = 0; i < 3000; i++) {
      const route = random(2000);
      const known = random(2) === 0;
      const worker = random(2) === 0 ? first : second;
      const { headers, action } = ask(worker, `team-${route}`, known ? `acme-${route}` : "nobody");
      const tag = `route=.=team/route-${route};.;`;
      const tier = known ? "paid" : "none";
      add(`${tag}tier=.=${tier};.;weir_rate_limit_${action === 0 ? "admitted" : "refused"}_total`);
      expect(action === 0).toBe(known);
      if (action !== 0) continue;
      const header = (name: string) => headers.find(([key]) => key === name)?.[1];
      add(`${tag}variant=.=${header("x-weir-variant")};.;weir_canary_requests_total`);
      add(`${tag}weir_compression_denied_total`);
      if (header("x-shadow-mode") !== undefined) add(`${tag}weir_shadow_tagged_total`);
    }
    for (const worker of workers) worker.tick(1);
    const values = valuesOf(shared);
    values.delete("weir_config_revision");
    const known = new Map([...values].filter(([name]) => !/compression|shadow/.test(name)));
    expect(known).toEqual(new Map([...own].filter(([name]) => !/compression|shadow/.test(name))));
  });

  it("are taken again and again in the same memory, and define nothing twice", () => {
    const text = JSON.stringify(manyRoutes(2000));
    first.configure(2, text);
    first.remove(1);
    const { definitions } = shared;
    first.configure(3, text);
    first.remove(2);
    const bytes = first.memoryBytes();
    for (let root = 4; root < 14; root++) {
      first.configure(root, text);
      first.remove(root - 1);
    }
    expect(first.memoryBytes()).toBe(bytes);
    expect(shared.definitions).toBe(definitions);
  });
});

it("keeps known names, and the revision, through three configurations of 900 other names", () => {
  const { shared, workers } = configuredProxy("weir", plainRoutes(1, "mine"));
  const worker = workers[0] as Worker;
  ask(worker, "mine-0");
  for (let i = 0; i < 3; i++) {
    worker.configure(2 + i, JSON.stringify(plainRoutes(900, `other-${i}`)));
    worker.remove(1 + i);
    for (let n = 0; n < 900; n++) ask(worker, `other-${i}-${n}`);
  }
  worker.configure(9, JSON.stringify(plainRoutes(1, "mine")));
  ask(worker, "mine-0");
  worker.remove(4);
  worker.tick(9);
  const values = valuesOf(shared);
  expect(values.get(requestsOf("mine/0"))).toBe(2n);
  for (const i of [0, 1, 2])
    for (const n of [0, 450, 899]) expect(values.get(requestsOf(`other-${i}/${n}`))).toBe(1n);
  expect(values.size).toBe(2 + 3 * 900);
});

it("counts names beyond the bound under one that says so, and says so once", () => {
  const { shared, workers } = configuredProxy("weir", plainRoutes(2000, "p0"));
  const worker = workers[0] as Worker;
  for (let i = 0; i < 18; i++) {
    if (i > 0) {
      worker.configure(1 + i, JSON.stringify(plainRoutes(2000, `p${i}`)));
      worker.remove(i);
    }
    for (let n = 0; n < 2000; n++) ask(worker, `p${i}-${n}`);
  }
  worker.tick(18);
  const values = valuesOf(shared);
  const beyond = BigInt(36_000 - (maxMetrics - 1));
  expect(values.get("weir_metrics_overflow_total")).toBe(beyond);
  expect(values.size).toBe(maxMetrics + 1);
  const own = [...values].filter(([name]) => name.endsWith("weir_canary_requests_total"));
  expect(own.every(([, value]) => value === 1n)).toBe(true);
  expect(shared.log.filter(({ message }) => message.includes("beyond 32768"))).toHaveLength(1);
  // What was known before is still found, and the revision is nobody's but its own.
  worker.configure(30, JSON.stringify(plainRoutes(3, "p0")));
  ask(worker, "p0-2");
  worker.tick(30);
  expect(valuesOf(shared).get(requestsOf("p0/2"))).toBe(2n);
  const told = valuesOf(shared).get("weir_config_revision");
  worker.configure(31, JSON.stringify(plainRoutes(3, "p1")));
  expect(valuesOf(shared).get("weir_config_revision")).not.toBe(told);
  expect(valuesOf(shared).get("weir_metrics_overflow_total")).toBe(beyond);
});

it("has no gauge of requests in flight shared: beyond the bound each worker limits for itself", () => {
  const limited = (prefix: string, count: number) => ({
    revision: prefix,
    routes: Array.from({ length: count }, (_, i) => ({
      name: `${prefix}/${i}`,
      hosts: [`${prefix}-${i}.example.com`],
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { any: { requestsPerSecond: 1e6, burst: 1e6, concurrent: 2 } },
        default: "any",
      },
    })),
  });
  const { shared, workers } = configuredProxy("weir-full", limited("p0", 2000));
  const worker = workers[0] as Worker;
  // Two gauges' worth of names for each route: in flight, and admitted.
  for (let i = 0; i < 9; i++) {
    if (i > 0) {
      worker.configure(1 + i, JSON.stringify(limited(`p${i}`, 2000)));
      worker.remove(i);
    }
    for (let n = 0; n < 2000; n++) ask(worker, `p${i}-${n}`);
    worker.tick(1 + i);
  }
  expect(valuesOf(shared).size).toBeGreaterThanOrEqual(maxMetrics);
  const headers = requestHeaders({ ":authority": "p8-1999.example.com" });
  const open = [1, 2, 3].map(() => worker.open(headers));
  expect(open.map(({ action }) => action)).toEqual([0, 0, 1]);
  for (const each of open) each.end();
  expect(worker.open(headers).action).toBe(0);
});

it("finds names whatever they look like", () => {
  const random = below(11);
  const pieces = ["a", "-", ".", "ü", "é", "😀", ";.;", "=.=", "route", "x".repeat(60), "0"];
  const names = new Set<string>();
  while (names.size < 500)
    names.add(Array.from({ length: 1 + random(4) }, () => pieces[random(11)]).join(""));
  const routes = [...names].map((name, i) => ({
    ...plainRoutes(1, "x").routes[0],
    name,
    hosts: [`n-${i}.example.com`],
  }));
  const { shared, workers } = configuredProxy("weir", { revision: "r", routes });
  const worker = workers[0] as Worker;
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < names.size; i++) for (let n = 0; n <= i % 3; n++) ask(worker, `n-${i}`);
  worker.tick(1);
  const values = valuesOf(shared);
  for (const [i, name] of [...names].entries()) {
    const metric = Buffer.from(requestsOf(name)).toString("latin1");
    expect(values.get(metric) ?? values.get(requestsOf(name))).toBe(BigInt(2 * (1 + (i % 3))));
  }
});

it("reports more counters than one report has room for by turns, each in full", () => {
  // Two thousand of these have no room in one report.
  const prefix = `team-${"x".repeat(100)}`;
  const config = {
    ...plainRoutes(2000, prefix),
    report: { cluster: "weir_control", authority: "127.0.0.1:8080" },
  };
  const { shared, workers } = configuredProxy("weir", config, 2);
  for (let i = 0; i < 2000; i++) ask(workers[1] as Worker, `${prefix}-${i}`);
  workers[1]?.tick(1);
  const told = new Map<string, bigint>();
  let reports = 0;
  while (told.size < 2000 && reports++ < 10) {
    shared.nowNs += 1_000_000_000n;
    // The reporter makes at most 512 metrics known for one report.
    const before = shared.definitions;
    workers[0]?.tick(1);
    if (reports > 1) expect(shared.definitions - before).toBeLessThanOrEqual(512);
    const { body } = shared.httpCalls.at(-1) as { body: string };
    expect(body.length).toBeLessThan(262_144);
    for (const { route, value } of fromJsonString(ReportRequestSchema, body).counters)
      told.set(route, value);
  }
  expect(told.size).toBe(2000);
  expect(new Set(told.values())).toEqual(new Set([1n]));
});
