import { describe, expect, it } from "vitest";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const gold = requestHeaders({ "x-tenant-id": "acme" });
const rate = 100;
const burst = 200;

/** Sends requests to the workers in the given shares of a rate, for some seconds of the host's clock. */
function drive(
  shares: readonly number[],
  seconds: number,
  proxy = configuredProxy("rate-limit", fullConfig(), shares.length),
) {
  const { shared, workers } = proxy;
  let admitted = 0;
  let sent = 0;
  let sharedCalls = 0;
  const stepNs = 1_000_000n;
  const owed = shares.map(() => 0);
  for (let ms = 0; ms < seconds * 1000; ms++) {
    shared.nowNs += stepNs;
    workers.forEach((worker: Worker, i) => {
      owed[i] = (owed[i] ?? 0) + (shares[i] ?? 0) / 1000;
      for (; (owed[i] ?? 0) >= 1; owed[i] = (owed[i] ?? 0) - 1) {
        const { action, calls } = worker.request(gold);
        sent++;
        if (action === 0) admitted++;
        sharedCalls += calls.filter((call) => call === "proxy_get_shared_data").length;
      }
    });
  }
  return { admitted, sent, sharedCalls, proxy };
}

describe("the limit of a proxy", () => {
  it.each([
    ["one worker", [1000]],
    ["two even workers", [500, 500]],
    ["four even workers", [250, 250, 250, 250]],
    ["97 % on one of four", [970, 10, 10, 10]],
    ["everything on the second of two", [0, 1000]],
  ])("holds with %s", (_name, shares) => {
    const seconds = 20;
    const { admitted } = drive(shares, seconds);
    const limit = rate * seconds + burst;
    expect(admitted).toBeLessThanOrEqual(limit + 1);
    expect(admitted).toBeGreaterThanOrEqual(limit * 0.97);
  });

  it("is asked for seldom while there is room", () => {
    const { sent, admitted, sharedCalls } = drive([40, 40], 20);
    expect(admitted).toBe(sent);
    expect(sharedCalls / sent).toBeLessThanOrEqual(0.05);
  });

  it("is not asked for by each refusal", () => {
    const { sent, admitted, sharedCalls } = drive([5000], 5);
    expect(sharedCalls).toBeLessThan(admitted + 20);
    expect(sent).toBeGreaterThan(20_000);
  });

  it("survives a new configuration: leased tokens and debts stay", () => {
    const { proxy } = drive([1000, 1000], 5);
    proxy.workers.forEach((worker, i) => {
      worker.configure(100 + i, JSON.stringify({ ...fullConfig(), revision: "next" }));
      worker.remove(1);
    });
    const { admitted } = drive([1000, 1000], 5, proxy);
    expect(admitted).toBeLessThanOrEqual(rate * 5 + 2);
  });
});

describe("a clock that jumps", () => {
  it.each([
    ["an hour back", -3_600_000_000_000n],
    ["a year on", 31_536_000_000_000_000n],
  ])("%s neither locks out nor lets in more than a window", (_name, jumpNs) => {
    const { proxy } = drive([1000], 5);
    proxy.shared.nowNs += jumpNs;
    const { admitted } = drive([1000], 10, proxy);
    expect(admitted).toBeLessThanOrEqual(rate * 10 + burst + 1);
    expect(admitted).toBeGreaterThanOrEqual(rate * 10 - burst);
  });

  it("stands still without letting anyone in for ever", () => {
    const { workers } = configuredProxy("rate-limit", fullConfig());
    const admitted = Array.from({ length: 1000 }, () => workers[0]?.request(gold).action).filter(
      (action) => action === 0,
    );
    expect(admitted).toHaveLength(burst);
  });
});

describe("shared data that fails", () => {
  it.each([
    ["answers with an error", () => 10],
    ["always lost the race", (call: string) => (call === "proxy_set_shared_data" ? 8 : undefined)],
  ])("%s: each worker limits for itself, and no request is lost to a trap", (_name, fault) => {
    const proxy = configuredProxy("rate-limit", fullConfig());
    proxy.workers[0]?.setFault((call) => (call.includes("shared_data") ? fault(call) : undefined));
    const { admitted } = drive([1000], 10, proxy);
    expect(admitted).toBeGreaterThan(rate * 10);
    expect(admitted).toBeLessThanOrEqual(rate * 10 + burst + 1);
  });
});

describe("strangers", () => {
  it("H9 share one bucket: a million names get no more than one, and no memory", () => {
    const { workers, shared } = configuredProxy("rate-limit", fullConfig());
    const worker = workers[0] as Worker;
    const before = worker.memoryBytes();
    let admitted = 0;
    for (let i = 0; i < 200_000; i++)
      if (worker.request(requestHeaders({ "x-tenant-id": `stranger-${i}` })).action === 0)
        admitted++;
    expect(admitted).toBe(10);
    expect(worker.memoryBytes()).toBe(before);
    expect(shared.data.size).toBeLessThanOrEqual(2);
  });
});

describe("a refusal", () => {
  const { workers, shared } = configuredProxy("rate-limit", fullConfig());
  const worker = workers[0] as Worker;
  const refused = (headers: Record<string, string> = {}) => {
    for (let i = 0; i < 11; i++) worker.request(requestHeaders(headers));
    return worker.request(requestHeaders(headers));
  };

  it("carries what clients and gateways read", () => {
    const { action, reply } = refused();
    expect(action).toBe(1);
    const headers = Object.fromEntries(reply?.headers ?? []);
    expect(reply).toMatchObject({ status: 429, grpcStatus: -1 });
    expect(headers).toMatchObject({
      "ratelimit-policy": '"requests";q=10;w=2',
      "x-ratelimit-limit-requests": "10",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "200ms",
      "content-type": "application/problem+json",
    });
    expect(headers["retry-after"]).toMatch(/^[1-9]\d?$/);
    expect(headers.ratelimit).toBe(`"requests";r=0;t=${headers["retry-after"]}`);
    expect(JSON.parse(reply?.body ?? "")).toMatchObject({ status: 429, code: "rate_limited" });
  });

  it("never repeats what a client sent but the request id, made harmless", () => {
    const { reply } = refused({ "x-request-id": 'a"},\n{"evil\xff', "x-tenant-id": "secret-name" });
    expect(JSON.parse(reply?.body ?? "").request_id).toBe("a?},?{?evil?");
    expect(JSON.stringify(reply)).not.toContain("secret-name");
  });

  it("speaks gRPC to gRPC", () => {
    const { reply } = refused({ "content-type": "application/grpc+proto" });
    expect(reply).toMatchObject({ grpcStatus: 8 });
    expect(reply?.body).toMatch(/^request limit of tier bronze reached/);
    expect(refused({ "content-type": "application/grpc-web+proto" }).reply?.grpcStatus).toBe(-1);
  });

  it("is counted, on the tick and not before", () => {
    const counted = () =>
      [...shared.metrics.values()].find(
        ({ name }) =>
          name.endsWith("weir_rate_limit_refused_total") && name.includes("tier=.=bronze"),
      )?.value;
    const before = counted() ?? 0n;
    refused();
    expect(counted() ?? 0n).toBe(before);
    worker.tick(1);
    expect(counted()).toBeGreaterThan(before);
  });
});
