import { describe, expect, it } from "vitest";
import { type Headers, valuesOf } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, fullestConfig, requestHeaders } from "../module.ts";
import { ask, tokenProxy } from "../token-limit/token-streams.ts";

// Rows H1 to H14 of docs/bad-inputs.md, those that need no Envoy.

const started = (name: string, config: object = fullConfig()) => {
  const { shared, workers } = configuredProxy(name, config);
  return { shared, worker: workers[0] as Worker };
};
const tierOf = (worker: Worker, headers: Record<string, string | string[]>) =>
  valuesOf(worker.request(requestHeaders(headers)).headers, "x-weir-tier").join("|");

describe.each(["weir", "weir-full"])("%s.wasm", (name) => {
  it("H1 decides over 256 headers, and over as many bytes as Envoy lets in", () => {
    const { worker } = started(name);
    const many = Object.fromEntries(
      Array.from({ length: 244 }, (_, i) => [`x-filler-${i}`, "v".repeat(200)]),
    );
    const long = { "x-long": "v".repeat(2 << 20) };
    for (const more of [many, long]) {
      const headers = requestHeaders({ "x-tenant-id": "acme", ...more });
      const { reply, headers: after } = worker.request(headers);
      expect(reply).toBeUndefined();
      expect(valuesOf(after, "x-weir-tier")).toEqual(["gold"]);
    }
    // One more reading of 60 KiB may cost some time, but no second look at each header.
    const timesOf = (headers: Headers) =>
      Math.min(
        ...Array.from({ length: 200 }, () => {
          const start = performance.now();
          worker.request(headers);
          return performance.now() - start;
        }),
      );
    expect(timesOf(requestHeaders({ "x-tenant-id": "acme", ...many }))).toBeLessThan(5);
  });

  it("H2 puts an empty or missing identity into the strict bucket, which is not unlimited", () => {
    const { worker } = started(name);
    expect(tierOf(worker, { "x-tenant-id": "" })).toBe("bronze");
    const statuses = Array.from({ length: 20 }, (_, i) => {
      const extra: Record<string, string> = i % 2 ? { "x-tenant-id": "" } : {};
      return worker.request(requestHeaders(extra)).reply?.status ?? 200;
    });
    expect(statuses.filter((status) => status === 200)).toHaveLength(9);
  });

  it.each<[string, string | string[], string]>([
    ["the same key twice", ["acme", "acme"], "gold"],
    ["two keys", ["acme", "internal"], "bronze"],
    ["the same joined by a comma", "acme, acme", "gold"],
    ["two joined by a comma", "acme,internal", "bronze"],
    ["an empty one and one", ["", "acme"], "gold"],
  ])("H3 takes %s for what it is, once", (_name, value, tier) => {
    const { shared, worker } = started(name);
    expect(tierOf(worker, { "x-tenant-id": value })).toBe(tier);
    worker.tick(1);
    const admitted = [...shared.metrics.values()].filter(({ name: metric }) =>
      metric.endsWith("weir_rate_limit_admitted_total"),
    );
    expect(admitted.reduce((sum, { value: count }) => sum + count, 0n)).toBe(1n);
  });

  it("H4 knows a header by its one name", () => {
    const { worker } = started(name);
    // Envoy hands names over in lower case and values without space around them.
    expect(tierOf(worker, { x_tenant_id: "acme" })).toBe("bronze");
    expect(tierOf(worker, { "x-tenant-id": "ACME" })).toBe("bronze");
  });

  it("H5 strips every header that only Weir may set, and counts it", () => {
    const { shared, worker } = started(name);
    const claims = {
      "x-weir-variant": ["canary", "stable"],
      "x-weir-tenant": "acme",
      "x-weir-tier": "gold",
      "x-shadow-mode": ["true", "true"],
      "x-traffic-tag": "mine",
    };
    const { headers } = worker.request(requestHeaders(claims));
    const plain = worker.request(requestHeaders()).headers;
    expect(headers.filter(([key]) => key in claims)).toEqual(
      plain.filter(([key]) => key in claims),
    );
    worker.tick(1);
    const spoofed = [...shared.metrics.values()].find(({ name: metric }) =>
      metric.includes("weir_spoofed_headers_total"),
    );
    // One each, but for the tier, which is written over.
    expect(spoofed?.value).toBe(4n);
  });

  it("H6 honours them from whom the route names", () => {
    const { worker } = started(name);
    const tagged = { "x-shadow-mode": "true", "x-traffic-tag": "load-test" };
    const from = (tenant: string) =>
      valuesOf(
        worker.request(requestHeaders({ ...tagged, "x-tenant-id": tenant })).headers,
        "x-traffic-tag",
      );
    expect(from("internal")).toEqual(["load-test"]);
    expect(from("acme")).toEqual([]);
    const forced = requestHeaders({ "x-tenant-id": "internal", "x-variant": "canary" });
    expect(valuesOf(worker.request(forced).headers, "x-weir-variant")).toEqual(["canary"]);
  });

  it("H7 drops them from trailers, both ways", () => {
    const { worker } = started(name);
    const trailers: Headers = [
      ["grpc-status", "0"],
      ["x-weir-tenant", "acme"],
      ["x-shadow-mode", "true"],
      ["x-weir-tier", "gold"],
      ["x-weir-variant", "canary"],
      ["x-traffic-tag", "t"],
    ];
    for (const map of ["request", "response"] as const)
      expect(worker.trailers(map, trailers)).toEqual([["grpc-status", "0"]]);
  });

  it("H8 tells tenants by their bytes, and never writes those of a client", () => {
    const config = fullConfig();
    config.routes[0].rateLimit.tenants.ü = "gold";
    const { shared, worker } = started(name, config);
    const latin = (text: string) => Buffer.from(text, "utf8").toString("latin1");
    expect(tierOf(worker, { "x-tenant-id": latin("ü") })).toBe("gold");
    const odd = [
      "\xfc",
      "\xff\xfe",
      "\xed\xa0\x80",
      "a\0b",
      "a\r\nx-weir-tier: gold",
      "\x80".repeat(9000),
    ];
    for (const value of odd) {
      const { headers } = worker.request(
        requestHeaders({ "x-tenant-id": value, "x-user-id": value, "x-request-id": value }),
      );
      expect(valuesOf(headers, "x-weir-tier").filter((tier) => tier !== "bronze")).toEqual([]);
    }
    for (let i = 0; i < 20; i++) {
      const { reply } = worker.request(requestHeaders({ "x-request-id": odd[4] as string }));
      if (reply) expect(JSON.stringify(reply)).toMatch(/^[\x20-\x7e]*$/);
    }
    expect(shared.log).toEqual([]);
  });

  it("H10 does the same work for any key: there is no slow path to be chosen", () => {
    const { worker } = started(name);
    const usual = new Set<number>();
    for (let i = 0; i < 5000; i++) {
      // Keys whose low bits, and those whose high bits, are alike.
      const key = i % 2 ? `k${i * 65536}` : `${i}`.padStart(200, "0");
      const headers = requestHeaders({ "x-tenant-id": key, "x-user-id": key });
      usual.add(worker.request(headers).calls.length);
    }
    expect(Math.max(...usual)).toBeLessThanOrEqual(9);
  });

  it.each<[string, Headers]>([
    [
      "without :path",
      [
        [":authority", "chat.example.com"],
        [":method", "GET"],
      ],
    ],
    [
      "without :authority",
      [
        [":path", "/"],
        [":method", "GET"],
      ],
    ],
    ["without anything", []],
    [
      "CONNECT",
      [
        [":method", "CONNECT"],
        [":authority", "chat.example.com:443"],
      ],
    ],
    [
      "OPTIONS *",
      [
        [":method", "OPTIONS"],
        [":path", "*"],
        [":authority", "chat.example.com"],
      ],
    ],
  ])("H11 lets a request pass %s", (_name, headers) => {
    const { worker } = started(name);
    expect(worker.request(headers).reply).toBeUndefined();
  });

  it.each(["", "-1", "1e9", "99999999999999999999", "10, 20", "\xff"])(
    "H14 ignores a content-length of %j safely, and what it is not asked about",
    (value) => {
      const config = fullConfig();
      Object.assign(config.routes[0].shadow, { percent: 100, maxBodyBytes: 1000 });
      const { worker } = started(name, config);
      const odd = {
        "x-team": "search",
        "content-length": value,
        "grpc-timeout": "99999999999H",
        traceparent: "00-00000000000000000000000000000000-0000000000000000-00",
      };
      const { reply, headers } = worker.request(requestHeaders(odd), { body: true });
      expect(reply).toBeUndefined();
      expect(valuesOf(headers, "x-shadow-mode")).toEqual(value === "" ? ["true"] : []);
      for (const kept of ["grpc-timeout", "traceparent"] as const)
        expect(valuesOf(headers, kept)).toEqual([odd[kept]]);
    },
  );
});

describe("token-limit.wasm", () => {
  it.each([
    ["plainly", "/v1/chat/completions"],
    ["with more slashes", "//v1/chat/completions/"],
    ["with parameters", "/v1/chat/completions;x=1"],
    ["with a fragment", "/v1/chat/completions#f"],
    ["with a query of 16 KiB", `/v1/chat/completions?${"q".repeat(16384)}`],
  ])("H12 knows what calls a model, with its path written %s", (_name, path) => {
    const { worker } = tokenProxy();
    const exchange = ask(worker, { "x-tenant-id": "tiny", ":path": path });
    const sent = exchange.requestBody(Buffer.from('{"stream":true,"max_tokens":5}'), true);
    expect(JSON.parse(sent.toString())).toMatchObject({ stream_options: { include_usage: true } });
  });

  it.each(["", "-1", "1e9", "99999999999999999999", "x"])(
    "H14 ignores a content-length of %j",
    (value) => {
      const { worker } = tokenProxy();
      const exchange = ask(worker, { "x-tenant-id": "tiny", "content-length": value });
      const text = '{"stream":true,"max_tokens":5}';
      const sent = JSON.parse(exchange.requestBody(Buffer.from(text), true).toString());
      expect(sent).toMatchObject({ stream: true, max_tokens: 5 });
      // What is no length cannot be kept to: the body ends where it ends.
      expect(valuesOf(exchange.requestHeaders, "content-length")).toEqual([]);
    },
  );
});

it("H6 honours a tag where shadow traffic is charged apart, and no one else's", () => {
  const config = fullestConfig();
  Object.assign(config.routes[0].shadow, { divert: true });
  const { worker } = started("weir-full", config);
  const { headers } = worker.request(
    requestHeaders({ "x-tenant-id": "internal", "x-shadow-mode": "true", "x-traffic-tag": "t" }),
  );
  expect(valuesOf(headers, "x-weir-tenant")).toEqual([]);
});
