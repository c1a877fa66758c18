import { describe, expect, it } from "vitest";
import type { ReportRequest } from "../../../control/gen/weir/v1/report_pb.ts";
import type { Worker } from "../../host/worker.ts";
import {
  ask,
  chunk,
  counted,
  events,
  finishes,
  json,
  reportOf,
  says,
  stream,
  tokenProxy,
  usage,
  valuesIn,
} from "./token-streams.ts";

const ms = 1_000_000n;
const bytes = (text: string) => Buffer.from(text, "utf8");
/** As exact as the buckets are: 2 %. */
const near = (value: number) => expect.closeTo(value, -Math.log10(2 * 0.0201 * value));

describe("what is told of each tenant", () => {
  const answered = (worker: Worker, tenant: string, variant = "stable") => {
    const exchange = ask(worker, { "x-tenant-id": tenant, "x-weir-variant": variant });
    exchange.responseHeaders(json, true);
    exchange.end();
  };
  const tenantsOf = ({ counters }: ReportRequest) =>
    counters.filter(({ tenant }) => tenant !== "").map(({ tenant }) => tenant);
  const many = (count: number) => (policy: any) => {
    policy.tenants = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`t${String(i).padStart(3, "0")}`, "free"]),
    );
  };

  it("is of those that the configuration names, never of a name that a client makes up", () => {
    const proxy = tokenProxy();
    for (const tenant of ["open", "stranger", "acme2", ""]) answered(proxy.worker, tenant);
    expect(tenantsOf(reportOf(proxy))).toEqual(["open"]);
  });

  it("is of the first 64 of them", () => {
    const proxy = tokenProxy(many(70));
    for (let i = 0; i < 70; i++) answered(proxy.worker, `t${String(i).padStart(3, "0")}`);
    const told = new Set<string>();
    for (let i = 0; i < 4; i++) for (const each of tenantsOf(reportOf(proxy))) told.add(each);
    expect([...told].sort().at(-1)).toBe("t063");
    expect(told.size).toBe(64);
  });

  it("comes by turns where there are many, and whole from each variant", () => {
    const proxy = tokenProxy(many(40));
    for (const variant of ["stable", "canary"])
      for (let i = 0; i < 40; i++)
        answered(proxy.worker, `t${String(i).padStart(3, "0")}`, variant);
    const sizes: number[] = [];
    const told = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const report = reportOf(proxy);
      for (const { tenant, variant } of report.counters) told.add(`${tenant} ${variant}`);
      sizes.push(tenantsOf(report).length);
    }
    // 80 of tenants and two of all: three turns.
    expect(Math.max(...sizes)).toBeLessThanOrEqual(32);
    expect(told.size).toBe(82);
  });
});

describe("a measured stream", () => {
  it("tells time to first byte and token, gaps, rate, finish reason and usage, by variant and tier", () => {
    const proxy = tokenProxy();
    const { shared, worker } = proxy;
    const exchange = ask(worker);
    shared.nowNs += 40n * ms;
    exchange.responseHeaders(events);
    shared.nowNs += 10n * ms;
    const role = chunk({ delta: { role: "assistant", content: "" }, finish_reason: null });
    for (const data of [role, says("Hel"), says("lo"), says("!"), finishes("stop")]) {
      const piece = bytes(stream(data));
      expect(exchange.responseBody(piece, false)).toEqual(piece);
      shared.nowNs += 20n * ms;
    }
    exchange.responseBody(bytes(stream(chunk(undefined, usage(7, 3)), "[DONE]")), true);
    exchange.end();
    const report = reportOf(proxy);
    expect(report).toMatchObject({ filter: "token-limit", node: "test-node", revision: "t1" });
    expect(counted(report)).toEqual({
      "responses 2xx": 1,
      "streams done": 1,
      "finishes stop": 1,
      "tokens prompt": 7,
      "tokens completion": 3,
      "usage reported": 1,
    });
    for (const each of [...report.counters, ...report.histograms])
      expect(each).toMatchObject({
        route: "inference/chat",
        variant: "stable",
        ...(each.tenant === "" ? { tier: "free" } : { tenant: "open", tier: "" }),
      });
    // Once more for the tenant alone.
    const own = [...report.counters, ...report.histograms].filter(({ tenant }) => tenant !== "");
    expect(own.map((each) => `${each.name} ${"label" in each ? each.label : ""}`.trim())).toEqual([
      "responses 2xx",
      "streams done",
      "finishes stop",
      "time_to_first_token_ms",
    ]);
    expect(valuesIn(report, "time_to_first_byte_ms")).toEqual([near(40)]);
    expect(valuesIn(report, "time_to_first_token_ms")).toEqual([near(70)]);
    expect(valuesIn(report, "token_gap_ms")).toEqual([near(20), near(20)]);
    expect(valuesIn(report, "stream_duration_ms")).toEqual([near(150)]);
    expect(valuesIn(report, "output_tokens")).toEqual([near(3)]);
    // Two tokens in the 40 ms after the first one.
    expect(valuesIn(report, "tokens_per_second")).toEqual([near(50)]);
  });

  it.each([
    ["faster and faster", [40_000, 4_000, 400, 40, 4, 0.4]],
    ["slower and slower", [0.004, 0.4, 40, 4_000, 400_000]],
    ["below a millisecond from the start", [0.03, 0.3, 0.2]],
  ])("tells first bytes that come %s, second by second", (_name, times) => {
    const proxy = tokenProxy();
    const { shared, worker } = proxy;
    for (const time of times) {
      const exchange = ask(worker, { ":method": "GET" });
      shared.nowNs += BigInt(time * 1_000_000);
      exchange.responseHeaders(json);
      exchange.responseBody(bytes("{}"), true);
      exchange.end();
      worker.tick(1);
    }
    const sorted = [...times].sort((a, b) => a - b);
    const told = valuesIn(reportOf(proxy), "time_to_first_byte_ms");
    expect(told.map((value, i) => value / (sorted[i] ?? 0))).toEqual(
      // Below 0.006 ms all count in the first bucket.
      sorted.map((time) => (time < 0.006 ? expect.any(Number) : expect.closeTo(1, 1))),
    );
  });

  it.each([
    ["done", stream(says("a"), finishes("stop"), "[DONE]"), true],
    ["cut", stream(says("a")), true],
    ["aborted", stream(says("a")), false],
    ["done", "data: [DONE]", true],
    ["cut", stream("[DONE]x"), true],
    ["cut", stream('"[DONE]"'), true],
  ])("ends %s after %s", (label, text, whole) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(text), whole);
    exchange.end();
    expect(counted(reportOf(proxy))).toMatchObject({ [`streams ${label}`]: 1 });
  });

  it.each([
    ["cut", "upstream_reset_after_response_started{connection_termination}"],
    ["cut", "upstream_response_timeout"],
    ["aborted", "downstream_remote_disconnect"],
    ["aborted", "http2.remote_reset"],
    ["aborted", "via_upstream"],
    ["aborted", "upstream"],
    ["aborted", ""],
  ])("counts a stream as %s that Envoy ended for %s", (label, details) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(stream(says("a"))), false);
    exchange.end(details);
    expect(counted(reportOf(proxy))).toMatchObject({ [`streams ${label}`]: 1 });
  });

  it("counts a client that left before any answer, once", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.end();
    exchange.end();
    expect(counted(reportOf(proxy))).toEqual({ "responses none": 1 });
  });

  it.each([
    ["stop", "stop"],
    ["length", "length"],
    ["tool_calls", "tool_calls"],
    ["content_filter", "content_filter"],
    ["function_call", "function_call"],
    ["abort", "other"],
    ["st\\u006fp", "stop"],
  ])("knows finish_reason %s as %s", (reason, label) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(stream(finishes("@").replace("@", reason))), true);
    expect(counted(reportOf(proxy))).toMatchObject({ [`finishes ${label}`]: 1 });
  });

  it.each([
    ["5xx", "503"],
    ["501", "501"],
    ["4xx", "429"],
    ["3xx", "304"],
    ["1xx", "101"],
    ["none", "999"],
  ])("counts an answer of class %s", (label, status) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders([[":status", status]], true);
    exchange.end();
    expect(counted(reportOf(proxy))[`responses ${label}`]).toBeGreaterThan(0);
  });

  it("follows no request of other hosts", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { ":authority": "other.example.com" });
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(stream("[DONE]")), true);
    exchange.end();
    expect(exchange.calls().filter((call) => call === "proxy_get_buffer_bytes")).toEqual([]);
    expect(reportOf(proxy).counters).toEqual([]);
  });
});

describe("a whole answer", () => {
  const completion = (members: object) =>
    JSON.stringify({
      id: "chatcmpl-1",
      choices: [{ index: 0, message: { role: "assistant", content: "x".repeat(40) } }],
      ...members,
    });

  it.each([
    ["usage as it is told", completion({ usage: usage(11, 22) }), 11, 22, "reported"],
    ["an estimate by bytes without it", completion({}), 0, 10, "estimated"],
    ["an estimate where it is null", completion({ usage: null }), 0, 10, "estimated"],
    [
      "Anthropic's names",
      JSON.stringify({ type: "message", usage: { input_tokens: 5, output_tokens: 6 } }),
      5,
      6,
      "reported",
    ],
    ["an estimate where it is broken off", completion({}).slice(0, -1), 0, 10, "unreadable"],
    ["no usage below zero", completion({ usage: usage(-1, -5) }), 0, 10, "estimated"],
    ["no usage beyond sense", completion({ usage: usage(3, 1e20) }), 3, 10, "reported"],
    ["usage in quotes", completion({ usage: { completion_tokens: "999" } }), 0, 999, "reported"],
    [
      "usage as 1000.0 and 1e3",
      completion({ usage: "?" }).replace('"?"', '{"prompt_tokens":1000.0,"completion_tokens":1e3}'),
      1000,
      1000,
      "reported",
    ],
    [
      "no usage in other words",
      completion({ usage: { completion_tokens: "many" } }),
      0,
      10,
      "estimated",
    ],
  ])("is charged %s", (_name, text, prompt, completionTokens, label) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders(json);
    exchange.responseBody(bytes(text), true);
    exchange.end();
    const counts = counted(reportOf(proxy));
    expect(counts["tokens prompt"] ?? 0).toBe(prompt);
    expect(counts["tokens completion"]).toBe(completionTokens);
    expect(counts[`usage ${label}`]).toBe(1);
  });

  it("that is compressed cannot be read, which is counted", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders([...json, ["content-encoding", "gzip"]]);
    exchange.responseBody(Buffer.from([0x1f, 0x8b, 8]), true);
    expect(counted(reportOf(proxy))).toMatchObject({ "usage unreadable": 1 });
  });

  it("of something else than a completion counts tokens only where it tells them", () => {
    const proxy = tokenProxy();
    for (const [path, body] of [
      ["/v1/models", '{"data":[]}'],
      ["/v1/embeddings?x=/completions", JSON.stringify({ data: [], usage: { prompt_tokens: 8 } })],
    ] as const) {
      const exchange = ask(proxy.worker, { ":path": path });
      exchange.responseHeaders(json);
      exchange.responseBody(bytes(body), true);
    }
    expect(counted(reportOf(proxy))).toEqual({
      "responses 2xx": 2,
      "usage reported": 1,
      "tokens prompt": 8,
    });
  });
});

describe("all workers of a proxy", () => {
  it("tell one sum, whoever speaks, and nothing is lost with one that dies", () => {
    const proxy = tokenProxy(undefined, 3);
    const { shared, workers } = proxy;
    const once = (variant: string) => {
      for (const worker of workers) {
        const exchange = ask(worker, { "x-weir-variant": variant });
        shared.nowNs += 30n * ms;
        exchange.responseHeaders(events);
        exchange.responseBody(bytes(stream(says("a"), "[DONE]")), true);
        exchange.end();
      }
    };
    once("stable");
    once("canary");
    once("unheard-of");
    const before = reportOf(proxy);
    expect(counted(before)["streams done"]).toBe(9);
    expect([...new Set(before.counters.map(({ variant }) => variant))].sort()).toEqual([
      "",
      "canary",
      "stable",
    ]);
    expect(valuesIn(before, "time_to_first_token_ms")).toHaveLength(9);
    // The speaker is gone; another takes over with the same sum.
    shared.nowNs += 10_000_000_000n;
    once("stable");
    const after = reportOf({ shared, workers: workers.slice(1) });
    expect(counted(after)["streams done"]).toBe(11);
    expect(after.epoch).toBe(before.epoch);
  });

  it("report under a key of their own, beside weir.wasm", () => {
    const proxy = tokenProxy();
    reportOf(proxy);
    expect([...proxy.shared.data.keys()]).toContain("weir.reporter.token-limit");
  });

  it("count for streams of a configuration that is gone by then", () => {
    const proxy = tokenProxy();
    const { worker } = proxy;
    const exchange = ask(worker);
    const next = { revision: "t2", routes: [] };
    expect(worker.configure(2, JSON.stringify(next))).toBe(true);
    worker.remove(1);
    worker.configure(3, JSON.stringify({ ...next, revision: "t3" }));
    exchange.responseHeaders(events);
    exchange.responseBody(bytes(stream(says("a"), "[DONE]")), true);
    exchange.end();
    worker.tick(3);
    expect([...proxy.shared.data.keys()].filter((key) => key.startsWith("weir.m\0"))).toHaveLength(
      1,
    );
  });
});
