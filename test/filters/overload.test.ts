import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Worker } from "../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "./module.ts";

const tenants = { gold: "acme", silver: "globex", bronze: "initech" };
type TierName = keyof typeof tenants;

/** Three tiers with weights 10, 5 and 1 and no limit that gets in the way. */
function listening(overload: object = {}) {
  const config = fullConfig();
  const tier = (priority: number) => ({ requestsPerSecond: 1e5, burst: 1e5, priority });
  config.routes[0].rateLimit = {
    identity: [{ header: "x-tenant-id" }],
    tiers: { gold: tier(10), silver: tier(5), bronze: tier(1) },
    tenants: { acme: "gold", globex: "silver", initech: "bronze" },
    default: "bronze",
    overload,
  };
  return config;
}

const answer = (metrics?: string, status = 200): [string, string][] => [
  [":status", String(status)],
  ["content-type", "application/json"],
  ...(metrics === undefined ? [] : ([["endpoint-load-metrics", metrics]] as [string, string][])),
];
const from = (tier: TierName) => requestHeaders({ "x-tenant-id": tenants[tier] });
const gauge = (proxy: ReturnType<typeof configuredProxy>, name: string) =>
  Number([...proxy.shared.metrics.values()].find((each) => each.name.endsWith(name))?.value ?? -1);

/** One answer with this load, and what the filter made of it, in thousandths of saturation. */
function saturationFor(metrics: string, overload: object = {}): number {
  const proxy = configuredProxy("weir-full", listening(overload));
  const worker = proxy.workers[0] as Worker;
  proxy.shared.nowNs += 3_600_000_000_000n;
  for (let i = 0; i < 40; i++) {
    proxy.shared.nowNs += 500_000_000n;
    const stream = worker.open(from("gold"));
    stream.answer(answer(metrics));
    stream.end();
  }
  return gauge(proxy, "weir_saturation_permille");
}

describe("what pods say of their load", () => {
  const { rows } = JSON.parse(readFileSync("test/vectors/load-metrics.json", "utf8")) as {
    rows: { name: string; value: string; marks?: object; permille: number }[];
  };
  it.each(rows)("$name", ({ value, marks, permille }) => {
    const seen = saturationFor(value, marks);
    if (permille < 0) expect(seen).toBe(0);
    else expect(Math.abs(seen - permille)).toBeLessThanOrEqual(permille * 0.01 + 1);
  });

  it("is asked for, and kept from clients", () => {
    const worker = configuredProxy("weir-full", listening()).workers[0] as Worker;
    const stream = worker.open([...from("gold"), ["endpoint-load-metrics-format", "JSON"]]);
    expect(stream.headers.filter(([name]) => name === "endpoint-load-metrics-format")).toEqual([
      ["endpoint-load-metrics-format", "TEXT"],
    ]);
    const { headers } = stream.answer(answer("TEXT named_metrics.num_requests_waiting=1"));
    expect(headers).toEqual(answer());
  });

  it("is neither asked for nor read where the route does not ask for it", () => {
    const config = listening();
    delete config.routes[0].rateLimit.overload;
    config.routes[0].rateLimit.concurrent = 5;
    const worker = configuredProxy("weir-full", config).workers[0] as Worker;
    const stream = worker.open(from("gold"));
    expect(stream.headers.map(([name]) => name)).not.toContain("endpoint-load-metrics-format");
    const seen = stream.answer(answer("TEXT named_metrics.num_requests_waiting=9"));
    expect(seen.calls).toEqual([]);
    expect(seen.headers).toEqual(answer("TEXT named_metrics.num_requests_waiting=9"));
  });

  it("costs one read and one write on the way out", () => {
    const worker = configuredProxy("weir-full", listening()).workers[0] as Worker;
    const stream = worker.open(from("gold"));
    const { calls, allocatingReads, callbacks } = stream.answer(answer("TEXT queue_depth=1"));
    expect(allocatingReads).toBeLessThanOrEqual(1);
    expect(callbacks).toBe(1);
    expect(calls.length).toBeLessThanOrEqual(1 + 4);
  });
});

/**
 * Pods that work off `capacity` requests a second and queue the rest, behind
 * clients that offer `rate` requests a second of each tier; per second what was let in.
 */
function simulate(
  rate: number,
  capacity: (second: number) => number,
  seconds: number,
  workers = 2,
) {
  const proxy = configuredProxy("weir-full", listening(), workers);
  const names: TierName[] = ["gold", "silver", "bronze"];
  const history: (Record<TierName, number> & { queue: number; open: number })[] = [];
  const queue: { end(): void; answer(headers: [string, string][]): unknown }[] = [];
  const refusals: { status: number; retryAfter: number; code: string }[] = [];
  let due = 0;
  let owed = 0;
  let turn = 0;
  for (let ms = 0; ms < seconds * 1000; ms += 10) {
    proxy.shared.nowNs += 10_000_000n;
    if (ms % 1000 === 0) {
      history.push({ gold: 0, silver: 0, bronze: 0, queue: queue.length, open: 0 });
      for (const worker of proxy.workers) worker.tick(1);
    }
    const now = history.at(-1) as (typeof history)[0];
    for (owed += rate / 100; owed >= 1; owed--)
      for (const name of names) {
        const stream = (proxy.workers[turn++ % workers] as Worker).open(from(name));
        if (stream.action === 0) {
          now[name]++;
          queue.push(stream);
          continue;
        }
        const headers = Object.fromEntries(stream.reply?.headers ?? []);
        refusals.push({
          status: stream.reply?.status ?? 0,
          retryAfter: Number(headers["retry-after"]),
          code: JSON.parse(stream.reply?.body ?? "{}").code,
        });
        stream.end();
      }
    for (due += capacity(ms / 1000) / 100; due >= 1; due--) {
      const served = queue.shift();
      if (!served) continue;
      served.answer(answer(`TEXT named_metrics.num_requests_waiting=${queue.length / 4}`));
      served.end();
    }
    due = Math.min(due, 1);
    now.open = gauge(proxy, "weir_overload_open_permille");
  }
  return { history, refusals, proxy };
}

describe("overload", () => {
  it("refuses no one while the pods keep up", () => {
    const { history, refusals } = simulate(20, () => 100, 20);
    expect(refusals).toEqual([]);
    expect(history.at(-1)).toMatchObject({ gold: 20, silver: 20, bronze: 20 });
  });

  it("refuses bronze first, then silver, and keeps gold whole as long as it can", () => {
    // 120 requests a second for pods that can do 60: gold's 40 fit.
    const { history } = simulate(40, () => 60, 60);
    const settled = history.slice(30);
    const mean = (of: (each: (typeof history)[0]) => number) =>
      settled.reduce((sum, each) => sum + of(each), 0) / settled.length;
    expect(mean(({ gold }) => gold)).toBeGreaterThan(36);
    expect(mean(({ silver }) => silver)).toBeLessThan(mean(({ gold }) => gold));
    expect(mean(({ bronze }) => bronze)).toBeLessThan(mean(({ silver }) => silver) / 2);
    // The pods stay busy: what is let in is what they can do.
    const all = mean(({ gold, silver, bronze }) => gold + silver + bronze);
    expect(all).toBeGreaterThan(60 * 0.85);
    expect(all).toBeLessThan(60 * 1.1);
    expect(mean(({ queue }) => queue / 4)).toBeLessThan(15);
  });

  it("holds as well for pods that do ten requests a second", () => {
    const settled = simulate(8, () => 10, 90).history.slice(30);
    const sum = (of: (each: (typeof settled)[0]) => number) =>
      settled.reduce((total, each) => total + of(each), 0) / settled.length;
    const all = sum(({ gold, silver, bronze }) => gold + silver + bronze);
    expect(sum(({ gold }) => gold)).toBeGreaterThan(5);
    expect(sum(({ bronze }) => bronze)).toBeLessThan(sum(({ gold }) => gold) / 4);
    expect(all).toBeGreaterThan(8);
    expect(all).toBeLessThan(11);
  });

  it("says 503, one code, and a time within what clients obey", () => {
    const { refusals } = simulate(40, () => 30, 20);
    expect(refusals.length).toBeGreaterThan(100);
    expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([503]));
    expect(new Set(refusals.map(({ code }) => code))).toEqual(new Set(["overloaded"]));
    for (const { retryAfter } of refusals) {
      expect(retryAfter).toBeGreaterThanOrEqual(1);
      expect(retryAfter).toBeLessThanOrEqual(60);
    }
  });

  it("asks to wait longer when the pods drain more slowly", () => {
    const mean = (capacity: number) => {
      const late = simulate(40, () => capacity, 30).refusals.slice(-500);
      return late.reduce((sum, { retryAfter }) => sum + retryAfter, 0) / late.length;
    };
    expect(mean(3)).toBeGreaterThan(mean(60) * 1.5);
  });

  it("does not flap: under a steady load the share turns back seldom and by little", () => {
    const { history } = simulate(40, () => 60, 120);
    const opens = history.slice(40).map(({ open }) => open);
    const turns = opens.filter((open, i) => {
      const before = opens[i - 1] ?? open;
      const after = opens[i + 1] ?? open;
      return (open - before) * (after - open) < 0;
    });
    expect(turns.length / opens.length).toBeLessThan(0.25);
    expect(Math.max(...opens) / Math.max(Math.min(...opens), 1)).toBeLessThan(6);
  });

  it("ends within seconds of the pods being free again", () => {
    const { history } = simulate(40, (second) => (second < 30 ? 30 : 200), 60);
    expect(history[28]?.bronze).toBeLessThan(10);
    expect(history[50]).toMatchObject({ gold: 40, silver: 40, bronze: 40 });
  });

  it("ends though the pods fall silent, for nothing else would ever open again", () => {
    const { proxy } = simulate(40, (second) => (second < 20 ? 20 : 0), 22);
    const worker = proxy.workers[0] as Worker;
    for (let i = 0; i < 400; i++) {
      proxy.shared.nowNs += 100_000_000n;
      worker.open(from("bronze"));
    }
    expect(gauge(proxy, "weir_overload_open_permille")).toBe(1000);
    expect(worker.open(from("bronze")).action).toBe(0);
  });

  it("gives back the request token of who is refused", () => {
    const config = listening();
    config.routes[0].rateLimit.tiers.bronze = { requestsPerSecond: 1, burst: 10, priority: 1 };
    const proxy = configuredProxy("weir-full", config);
    const worker = proxy.workers[0] as Worker;
    for (let i = 0; i < 200; i++) {
      proxy.shared.nowNs += 100_000_000n;
      const stream = worker.open(from("gold"));
      stream.answer(answer("TEXT queue_depth=50"));
      stream.end();
    }
    const replies = Array.from({ length: 300 }, () => worker.request(from("bronze")).reply);
    expect(replies.filter((reply) => reply?.status === 503).length).toBeGreaterThan(280);
    expect(replies.filter((reply) => reply?.status === 429)).toEqual([]);
  });

  it("is forgotten when a new configuration does not listen", () => {
    const { proxy } = simulate(40, () => 20, 20);
    const config = listening();
    delete config.routes[0].rateLimit.overload;
    const worker = proxy.workers[0] as Worker;
    expect(worker.configure(2, JSON.stringify({ ...config, revision: "next" }))).toBe(true);
    worker.remove(1);
    for (let i = 0; i < 50; i++) expect(worker.open(from("bronze")).action).toBe(0);
  });
});

describe("a refusal of the pods", () => {
  const refused = (headers: [string, string][]) => {
    const worker = configuredProxy("weir-full", listening()).workers[0] as Worker;
    return worker.open(from("gold")).answer(headers).headers;
  };
  it.each([429, 503])("%i gains a Retry-After where it has none, and nothing else", (status) => {
    const headers = refused(answer(undefined, status));
    expect(headers.slice(0, -1)).toEqual(answer(undefined, status));
    expect(headers.at(-1)?.[0]).toBe("retry-after");
    expect(headers.at(-1)?.[1]).toMatch(/^([1-9]|[1-5]\d|60)$/);
  });
  it("keeps the Retry-After it has", () => {
    const given: [string, string][] = [...answer(undefined, 503), ["retry-after", "7"]];
    expect(refused(given)).toEqual(given);
  });
  it.each([200, 400, 404, 500, 502])("that is none, %i, passes untouched", (status) => {
    expect(refused(answer(undefined, status))).toEqual(answer(undefined, status));
  });
});
