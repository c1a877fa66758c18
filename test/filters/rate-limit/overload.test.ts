import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { ReportRequest } from "../../../control/gen/weir/v1/report_pb.ts";
import { readReport } from "../../../control/report/index.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

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
const isAsked = ({ headers }: { headers: [string, string][] }) =>
  headers.some(([name, value]) => name === "endpoint-load-metrics-format" && value === "TEXT");
const from = (tier: TierName) => requestHeaders({ "x-tenant-id": tenants[tier] });
const gauge = (proxy: ReturnType<typeof configuredProxy>, name: string) =>
  Number([...proxy.shared.metrics.values()].find((each) => each.name.endsWith(name))?.value ?? 0);

/** What the proxy's last report says of how busy pods are. */
function saturationsIn(proxy: ReturnType<typeof configuredProxy>): Saturation[] {
  proxy.shared.nowNs += 1_000_000_000n;
  for (const worker of proxy.workers) worker.tick(1);
  const body = proxy.shared.httpCalls.at(-1)?.body ?? "{}";
  const report = readReport(JSON.parse(body)) as ReportRequest;
  return report.saturations.map(({ route, source, permille }) => ({ route, source, permille }));
}
type Saturation = { route: string; source: string; permille: number };

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

  it("is reported by source, and no more once nothing was said for five seconds", () => {
    const proxy = configuredProxy("weir-full", {
      ...listening(),
      report: { cluster: "weir_control", authority: "127.0.0.1:8080" },
    });
    const worker = proxy.workers[0] as Worker;
    proxy.shared.nowNs += 3_600_000_000_000n;
    for (let i = 0; i < 40; i++) {
      proxy.shared.nowNs += 500_000_000n;
      const stream = worker.open(from("gold"));
      stream.answer(answer("TEXT named_metrics.num_requests_waiting=10"));
      stream.end();
    }
    const [answers] = saturationsIn(proxy);
    expect(answers).toMatchObject({ route: "inference/chat", source: "answers" });
    expect(Math.abs((answers?.permille ?? 0) - 2000)).toBeLessThan(30);
    proxy.shared.nowNs += 6_000_000_000n;
    expect(saturationsIn(proxy).map(({ source }) => source)).not.toContain("answers");
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
  const queue: {
    end(): void;
    answer(headers: [string, string][]): unknown;
    headers: [string, string][];
  }[] = [];
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
      const load = `TEXT named_metrics.num_requests_waiting=${queue.length / 4}`;
      served.answer(answer(isAsked(served) ? load : undefined));
      served.end();
    }
    due = Math.min(due, 1);
    now.open = gauge(proxy, "weir_overload_open_permille");
  }
  return { history, refusals, proxy, queue };
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
    // Each worker asks once a second, so it swings: gold gives up little.
    expect(mean(({ gold }) => gold)).toBeGreaterThan(33);
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
    expect(history[58]).toMatchObject({ gold: 40, silver: 40, bronze: 40 });
  });

  it("does not end because the pods fall silent while requests wait for them", () => {
    const { proxy } = simulate(40, (second) => (second < 20 ? 20 : 0), 22);
    const worker = proxy.workers[0] as Worker;
    for (let i = 0; i < 400; i++) {
      proxy.shared.nowNs += 100_000_000n;
      worker.open(from("bronze"));
      if (i % 10 === 0) for (const each of proxy.workers) each.tick(1);
    }
    expect(gauge(proxy, "weir_overload_open_permille")).toBeLessThan(50);
  });

  it("ends when they are silent and nothing waits, for nothing else would ever open again", () => {
    const { proxy, queue } = simulate(40, (second) => (second < 20 ? 20 : 0), 22);
    const worker = proxy.workers[0] as Worker;
    for (const stream of queue) stream.end();
    for (let i = 0; i < 400; i++) {
      proxy.shared.nowNs += 100_000_000n;
      const stream = worker.open(from("bronze"));
      if (stream.action === 0) stream.end();
      if (i % 10 === 0) for (const each of proxy.workers) each.tick(1);
    }
    expect(gauge(proxy, "weir_overload_open_permille")).toBe(1000);
    expect(worker.open(from("bronze")).action).toBe(0);
  });

  it("is over after a pause: who comes then is let in, of all tiers", () => {
    const { proxy, queue } = simulate(40, (second) => (second < 20 ? 20 : 0), 22);
    const worker = proxy.workers[0] as Worker;
    for (const stream of queue) stream.end();
    proxy.shared.nowNs += 30_000_000_000n;
    for (let i = 0; i < 60; i++) {
      proxy.shared.nowNs += 100_000_000n;
      for (const tier of ["bronze", "silver", "gold"] as const) {
        const stream = worker.open(from(tier));
        expect(stream.action, `${tier} ${i}`).toBe(0);
        stream.end();
      }
    }
  });

  it("gives back the request token of who is refused", () => {
    const config = listening();
    config.routes[0].rateLimit.tiers.bronze = { requestsPerSecond: 1, burst: 10, priority: 1 };
    const proxy = configuredProxy("weir-full", config);
    const worker = proxy.workers[0] as Worker;
    for (let i = 0; i < 200; i++) {
      proxy.shared.nowNs += 100_000_000n;
      const stream = worker.open(from("gold"));
      if (stream.action !== 0) continue;
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

describe("the question for a pod's load", () => {
  /** How many of the requests of ten seconds ask, where these pods answer by turns. */
  const asked = (pods: number, tells: boolean) => {
    const proxy = configuredProxy("weir-full", listening());
    const worker = proxy.workers[0] as Worker;
    let count = 0;
    for (let i = 0; i < 4000; i++) {
      proxy.shared.nowNs += 10_000_000n;
      const properties = { "upstream.address": `10.0.0.${i % pods}:8000` };
      const stream = worker.open(from("gold"), { properties });
      const asks = isAsked(stream);
      if (asks && i >= 3000) count++;
      stream.answer(answer(asks && tells ? "TEXT queue_depth=0" : undefined));
      stream.end();
    }
    return count;
  };
  it.each([
    [1, true, 10],
    [1, false, 10],
    [7, true, 70],
    [7, false, 10],
  ])("goes to %d pods, telling %s, %d times in ten seconds", (pods, tells, times) => {
    expect(asked(pods, tells)).toBeGreaterThan(times * 0.6);
    expect(asked(pods, tells)).toBeLessThanOrEqual(times + 1);
  });

  it("is not put by a client", () => {
    const proxy = configuredProxy("weir-full", listening());
    const worker = proxy.workers[0] as Worker;
    const all = Array.from({ length: 20 }, () =>
      worker.open([...from("gold"), ["endpoint-load-metrics-format", "JSON"]]),
    );
    const names = all.flatMap(({ headers }) => headers.map(([name]) => name));
    expect(names.filter((name) => name === "endpoint-load-metrics-format")).toHaveLength(1);
  });
});

describe("load that the control service tells", () => {
  const told = (permille: number, route = "inference/chat") =>
    JSON.stringify({
      loads: [
        { route: "other/route", saturationPermille: 9 },
        { route, saturationPermille: permille },
      ],
    });
  /** Ten seconds of streams whose headers come at once, as vLLM's do, and the gauges after them. */
  const streamed = (body: string, workers = 1) => {
    const proxy = configuredProxy("weir-full", listening(), workers);
    let letIn = 0;
    for (let ms = 0; ms < 10_000; ms += 50) {
      proxy.shared.nowNs += 50_000_000n;
      for (const worker of proxy.workers) {
        const stream = worker.open(from("bronze"));
        if (stream.action === 0 && ms > 5000) letIn++;
        if (stream.action === 0) stream.answer(answer());
      }
      if (ms % 1000 > 0) continue;
      for (const worker of proxy.workers) worker.tick(1);
      proxy.workers[0]?.answerCall(1, { status: 200, body });
    }
    return { proxy, letIn };
  };
  it("sheds bronze where streams begin at once and say nothing, for all workers", () => {
    const { proxy, letIn } = streamed(told(3000), 2);
    expect(gauge(proxy, "weir_saturation_permille")).toBeCloseTo(3000, -2);
    expect(gauge(proxy, "weir_overload_open_permille")).toBeLessThan(200);
    expect(letIn).toBeLessThan(60);
    expect(gauge(proxy, "weir_saturation_metrics_permille")).toBeCloseTo(3000, -2);
  });
  it("opens all where the pods are free, and closes nothing for another route", () => {
    expect(gauge(streamed(told(100)).proxy, "weir_overload_open_permille")).toBe(1000);
    expect(gauge(streamed(told(9000, "other/chat")).proxy, "weir_overload_open_permille")).toBe(
      1000,
    );
  });
  it.each([
    ['{"loads":[{"route":"inference/chat","saturationPermille":-5}]}'],
    ['{"loads":[{"route":"inference/chat","saturationPermille":"many"}]}'],
    ['{"loads":[{"saturationPermille":9000}]}'],
    ['{"loads":{"route":"inference/chat"}}'],
    ['{"loads":[7'],
  ])("does nothing where it says %s", (body) => {
    expect(gauge(streamed(body).proxy, "weir_overload_open_permille")).toBe(1000);
  });
});

describe("the proxy's own estimate", () => {
  /** Seconds of requests whose answers take so long to begin, by pods that say nothing; the gauges after them. */
  function served(tookMs: (second: number) => number | undefined, seconds: number) {
    const proxy = configuredProxy("weir-full", listening());
    const worker = proxy.workers[0] as Worker;
    const open: { dueMs: number; stream: ReturnType<Worker["open"]> }[] = [];
    for (let ms = 0; ms < seconds * 1000; ms += 50) {
      proxy.shared.nowNs += 50_000_000n;
      if (ms % 1000 === 0) worker.tick(1);
      const stream = worker.open(from("gold"));
      const took = tookMs(ms / 1000);
      if (stream.action === 0)
        open.push({ dueMs: took === undefined ? Number.POSITIVE_INFINITY : ms + took, stream });
      for (const each of open.filter(({ dueMs }) => dueMs <= ms)) {
        each.stream.answer(answer());
        each.stream.end();
        open.splice(open.indexOf(each), 1);
      }
    }
    return {
      open: gauge(proxy, "weir_overload_open_permille"),
      estimate: gauge(proxy, "weir_saturation_estimate_permille"),
    };
  }
  it("lets all in while answers begin as they usually do, be that slow", () => {
    expect(served(() => 200, 30)).toMatchObject({ open: 1000 });
    expect(served(() => 3000, 60)).toMatchObject({ open: 1000 });
  });
  it("closes when they take five times as long and more, and opens again after", () => {
    const slow = served((second) => (second < 20 ? 400 : 4000), 40);
    expect(slow.open).toBeLessThan(500);
    expect(slow.estimate).toBeGreaterThan(1000);
    expect(served((second) => (second < 20 || second > 26 ? 400 : 4000), 90).open).toBe(1000);
  });
  it("closes when none begins any more", () => {
    expect(served((second) => (second < 20 ? 400 : undefined), 40).open).toBeLessThan(300);
  });
  it("does not close for a few that hang while the others are answered", () => {
    let turn = 0;
    expect(served(() => (turn++ % 5 === 0 ? undefined : 300), 40).open).toBe(1000);
  });
  it("is not asked where the pods say themselves that they are free", () => {
    const proxy = configuredProxy("weir-full", listening());
    const worker = proxy.workers[0] as Worker;
    for (let ms = 0; ms < 60_000; ms += 100) {
      proxy.shared.nowNs += 100_000_000n;
      if (ms % 1000 === 0) worker.tick(1);
      const stream = worker.open(from("bronze"));
      expect(stream.action).toBe(0);
      // The first are quick, then answers are long: no queue, says the pod.
      proxy.shared.nowNs += ms < 20_000 ? 10_000_000n : 3_000_000_000n;
      stream.answer(answer(isAsked(stream) ? "TEXT queue_depth=0" : undefined));
      stream.end();
    }
    expect(gauge(proxy, "weir_overload_open_permille")).toBe(1000);
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
