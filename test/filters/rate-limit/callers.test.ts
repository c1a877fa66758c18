import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { SharedState } from "../../host/proxy.ts";
import { createSharedState } from "../../host/proxy.ts";
import type { Worker } from "../../host/worker.ts";
import { startWorker } from "../../host/worker.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";

const keyOf = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;

/** Callers by header, key or certificate; "zeta" may not use the route. */
function config(rateLimit: object = { refuseUnknown: true }) {
  const config = fullConfig();
  const limit = config.routes[0].rateLimit;
  limit.identity = [{ header: "x-tenant-id" }, { apiKey: true }, { san: "forwarded" }];
  limit.tiers.free = { forbidden: true };
  limit.tenants = { acme: "gold", zeta: "free", [keyOf("good")]: "gold", [keyOf("old")]: "free" };
  Object.assign(limit, rateLimit);
  return config;
}

const proxyOf = (rateLimit?: object) => {
  const { shared, workers } = configuredProxy("weir-full", config(rateLimit));
  return { shared, worker: workers[0] as Worker };
};

function counted({ metrics }: SharedState, counter: string): Record<string, number> {
  const found = [...metrics.values()].filter(({ name }) => name.endsWith(`weir_${counter}_total`));
  return Object.fromEntries(
    found.map(({ name, value }) => [
      /(?:tier|tenant)=\.=(.*?);/.exec(name)?.[1] ?? "",
      Number(value),
    ]),
  );
}

const asked = (worker: Worker, headers: Parameters<typeof requestHeaders>[0]) =>
  worker.request(requestHeaders(headers)).reply?.status ?? 200;

describe("a route that refuses unknown callers", () => {
  const { worker } = proxyOf();
  it.each([
    ["nothing", {}, 401],
    ["an empty name", { "x-tenant-id": "" }, 401],
    ["two names", { "x-tenant-id": ["acme", "zeta"] }, 401],
    ["a key's digest as a name", { "x-tenant-id": keyOf("good") }, 401],
    ["a certificate's name as a name", { "x-tenant-id": "san:acme" }, 401],
    ["a key that nobody has", { authorization: "Bearer bad" }, 401],
    ["another scheme than Bearer", { authorization: "Basic good" }, 401],
    ["two keys", { authorization: "Bearer good", "x-api-key": "bad" }, 401],
    ["a listed name", { "x-tenant-id": "acme" }, 200],
    ["a listed key", { authorization: "Bearer good" }, 200],
    ["a name that is not listed", { "x-tenant-id": "someone" }, 200],
    ["a certificate that is not listed", { "x-forwarded-client-cert": "DNS=someone" }, 200],
  ])("answers a request with %s", (_name, headers, status) => {
    expect(asked(worker, headers)).toBe(status);
  });

  it("says which credential it wants, and counts it for the route", () => {
    const { shared, worker } = proxyOf();
    const { action, reply } = worker.request(requestHeaders());
    expect(action).not.toBe(0);
    expect(reply).toMatchObject({ status: 401, details: "weir_unauthenticated" });
    expect(reply?.headers).toEqual([
      ["content-type", "application/problem+json"],
      ["www-authenticate", 'Bearer realm="weir"'],
    ]);
    const message = "no valid credential: send the API key or identity of a tenant";
    expect(JSON.parse(reply?.body ?? "")).toEqual({
      title: "Unauthorized",
      status: 401,
      code: "unauthenticated",
      detail: message,
      error: { message, type: "invalid_request_error", code: "unauthenticated" },
      request_id: "3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
    });
    worker.tick(1);
    expect(counted(shared, "unauthenticated")).toEqual({ "": 1 });
    expect(counted(shared, "rate_limit_admitted")).toEqual({});
  });

  it("takes nothing from the bucket that unknown tenants share", () => {
    const { worker } = proxyOf();
    for (let i = 0; i < 100; i++) asked(worker, {});
    const rest = Array.from({ length: 20 }, () => asked(worker, { "x-tenant-id": "someone" }));
    expect(rest.filter((status) => status === 200)).toHaveLength(10);
  });

  it("tells gRPC in its own words", () => {
    const grpc = { "content-type": "application/grpc" };
    const { reply } = worker.request(requestHeaders(grpc));
    expect(reply).toMatchObject({ grpcStatus: 16, body: expect.stringMatching(/^no valid cred/) });
    const forbidden = worker.request(requestHeaders({ ...grpc, "x-tenant-id": "zeta" })).reply;
    expect(forbidden).toMatchObject({ grpcStatus: 7, body: "tier free may not use this route" });
  });
});

describe("a tier that is forbidden", () => {
  it("refuses its tenants for good, and counts that by tier and tenant", () => {
    const { shared, worker } = proxyOf({});
    const { reply } = worker.request(requestHeaders({ "x-tenant-id": "zeta" }));
    expect(reply).toMatchObject({ status: 403, details: "weir_forbidden" });
    expect(reply?.headers).toEqual([["content-type", "application/problem+json"]]);
    expect(JSON.parse(reply?.body ?? "")).toMatchObject({
      title: "Forbidden",
      status: 403,
      code: "forbidden",
      detail: "tier free may not use this route",
      error: { type: "invalid_request_error", code: "forbidden" },
    });
    expect(asked(worker, { authorization: "Bearer old" })).toBe(403);
    expect(asked(worker, { "x-tenant-id": "acme" })).toBe(200);
    worker.tick(1);
    expect(counted(shared, "forbidden")).toEqual({ free: 2 });
    expect(counted(shared, "tenant_refused")).toEqual({ zeta: 1, [keyOf("old")]: 1 });
  });

  it("refuses everyone who is not listed where it is the default", () => {
    const { worker } = proxyOf({ default: "free" });
    for (const headers of [{}, { "x-tenant-id": "someone" }, { authorization: "Bearer bad" }])
      expect(asked(worker, headers)).toBe(403);
    const both = proxyOf({ default: "free", refuseUnknown: true }).worker;
    expect(asked(both, {})).toBe(401);
    expect(asked(both, { "x-tenant-id": "someone" })).toBe(403);
  });
});

it("refuses a diverted request like any other of its caller", () => {
  const document = config();
  document.routes[0].shadow = {
    percent: 100,
    tag: "t",
    match: [{ header: "x-team", exact: "search" }],
    modeHeader: "x-shadow-mode",
    tagHeader: "x-traffic-tag",
    divert: true,
  };
  document.routes[0].rateLimit.tenants[",shadow"] = "gold";
  const { workers } = configuredProxy("weir-full", document);
  const worker = workers[0] as Worker;
  expect(asked(worker, { "x-team": "search" })).toBe(401);
  expect(asked(worker, { "x-team": "search", "x-tenant-id": "zeta" })).toBe(403);
  expect(asked(worker, { "x-team": "search", "x-tenant-id": "acme" })).toBe(200);
});

it.each(["weir", "rate-limit"])("%s refuses a configuration that it would not obey", (module) => {
  const forbidding = config({ identity: [{ apiKey: true }] });
  const refusing = fullConfig();
  refusing.routes[0].rateLimit.refuseUnknown = true;
  for (const each of [forbidding, refusing]) {
    const worker = startWorker(compiled(module), createSharedState());
    expect(worker.configure(1, JSON.stringify(each))).toBe(false);
  }
});
