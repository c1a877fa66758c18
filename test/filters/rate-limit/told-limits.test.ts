import { describe, expect, it } from "vitest";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { compiled, fullConfig, requestHeaders } from "../module.ts";
import { json, tokenConfig } from "../token-limit/token-streams.ts";

const six = ["limit", "remaining", "reset"].flatMap((what) =>
  ["requests", "tokens"].map((of) => `x-ratelimit-${what}-${of}`),
);
/** As Go prints durations, in the order of its units and none of them empty. */
const duration = /^(?=.)(\d+h)?(\d+m)?(\d+(\.\d{1,3})?s)?$|^\d+ms$/;

/** A proxy whose requests pass weir.wasm or weir-full.wasm, and token-limit.wasm behind it. */
function proxy(name: "weir" | "weir-full", fleet?: number) {
  const shared = createSharedState();
  const limits = { requestsPerSecond: 10, burst: 40 };
  const header = fullConfig();
  const [{ rateLimit }] = header.routes;
  Object.assign(rateLimit.tiers.gold, limits);
  Object.assign(rateLimit.tiers.bronze, limits);
  rateLimit.tenants.tiny = "bronze";
  if (fleet) rateLimit.fleet = { proxies: fleet };
  const front = startWorker(compiled(name), shared);
  const behind = startWorker(compiled("token-limit"), shared);
  const tokens = tokenConfig((policy) => {
    for (const tier of Object.values<object>(policy.tiers)) Object.assign(tier, limits);
    if (fleet) policy.proxies = fleet;
  });
  expect(front.configure(1, JSON.stringify(header))).toBe(true);
  expect(behind.configure(1, JSON.stringify(tokens))).toBe(true);
  return { shared, front, behind };
}

/** Sends a request through both; the headers of its answer by name. */
function ask({ front, behind }: { front: Worker; behind: Worker }, tenant = "acme", body = "{}") {
  const headers = requestHeaders({ "x-tenant-id": tenant, "x-weir-variant": "stable" });
  const refused = front.request(headers).reply;
  if (refused) return { status: refused.status, headers: Object.fromEntries(refused.headers) };
  const exchange = behind.exchange(headers);
  const reply = exchange.reply();
  if (reply) return { status: reply.status, headers: Object.fromEntries(reply.headers) };
  exchange.requestBody(Buffer.from(body), true);
  const answer = Object.fromEntries(exchange.responseHeaders(json));
  return { status: 200, headers: answer as Record<string, string> };
}

describe.each(["weir", "weir-full"] as const)("behind %s.wasm", (name) => {
  it("a success tells all six, with durations as Go prints them", () => {
    const { headers } = ask(proxy(name));
    expect(Object.keys(headers)).toEqual(expect.arrayContaining(six));
    expect(headers["x-ratelimit-limit-requests"]).toBe("40");
    expect(headers["x-ratelimit-limit-tokens"]).toBe("60000");
    // The worker holds an eighth of the burst, which it may still spend.
    expect(headers["x-ratelimit-remaining-requests"]).toBe("35");
    expect(headers["x-ratelimit-reset-requests"]).toBe("500ms");
    expect(headers["x-ratelimit-reset-tokens"]).toMatch(duration);
  });

  it("a refusal for want of tokens tells all six", () => {
    const both = proxy(name);
    ask(both, "tiny", '{"max_tokens":600,"messages":[]}');
    const { status, headers } = ask(both, "tiny", '{"max_tokens":600,"messages":[]}');
    expect(status).toBe(429);
    expect(Object.keys(headers)).toEqual(expect.arrayContaining(six));
    expect(headers["x-ratelimit-remaining-requests"]).toBe("35");
    for (const of of ["requests", "tokens"])
      expect(headers[`x-ratelimit-reset-${of}`]).toMatch(duration);
  });

  it("fewer are left with each request, and all again after the time that was told", () => {
    const both = proxy(name);
    const told = Array.from({ length: 30 }, () => ask(both).headers);
    const remaining = told.map((headers) => Number(headers["x-ratelimit-remaining-requests"]));
    expect(remaining).toEqual([...remaining].sort((a, b) => b - a));
    // Never more than there are.
    for (const [i, left] of remaining.entries()) expect(left).toBeLessThanOrEqual(40 - (i + 1));
    both.shared.nowNs += 10_000_000_000n;
    expect(ask(both).headers["x-ratelimit-remaining-requests"]).toBe("35");
  });

  it("the unknown are told of what they share", () => {
    const both = proxy(name);
    expect(ask(both, "stranger").headers["x-ratelimit-remaining-requests"]).toBe("35");
    expect(ask(both, "other").headers["x-ratelimit-limit-requests"]).toBe("40");
  });
});

it("a fleet's limit is told as this proxy's share of it", () => {
  const { headers } = ask(proxy("weir-full", 4));
  // A quarter of ten a second until shares are assigned: the burst comes back four times slower.
  expect(headers["x-ratelimit-limit-requests"]).toBe("40");
  expect(Number(headers["x-ratelimit-remaining-requests"])).toBeLessThanOrEqual(10);
});

it("nothing is told of requests where shared data does not know of them", () => {
  const { behind } = proxy("weir");
  const exchange = behind.exchange(requestHeaders({ "x-tenant-id": "acme" }));
  const headers = Object.fromEntries(exchange.responseHeaders(json));
  expect(headers["x-ratelimit-limit-tokens"]).toBe("60000");
  expect(headers["x-ratelimit-limit-requests"]).toBeUndefined();
});
