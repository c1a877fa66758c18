import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Headers, valuesOf } from "../../host/header-map.ts";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";

function worker(name: string, edit: (route: any) => void = () => {}): Worker {
  const config = fullConfig();
  edit(config.routes[0]);
  return configuredProxy(name, config).workers[0] as Worker;
}
const value = (headers: Headers, name: string) => valuesOf(headers, name).join("|");

describe("canary.wasm", () => {
  const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`);
  const variants = (canary: Worker) =>
    users.map((user) =>
      value(canary.request(requestHeaders({ "x-user-id": user })).headers, "x-weir-variant"),
    );

  it("gives each variant its share, the same users each time, on every worker", () => {
    const first = variants(worker("canary"));
    const share = first.filter((variant) => variant === "canary").length / users.length;
    expect(share).toBeGreaterThan(0.09);
    expect(share).toBeLessThan(0.11);
    expect(variants(worker("canary"))).toEqual(first);
  });

  it("moves on a shift only users from the variant that shrinks", () => {
    const before = variants(worker("canary"));
    const after = variants(
      worker("canary", (route) => {
        route.canary.buckets = [
          { variant: "stable", count: 7000 },
          { variant: "canary", count: 3000 },
        ];
      }),
    );
    expect(before.filter((variant, i) => variant === "canary" && after[i] !== "canary")).toEqual(
      [],
    );
    const moved = before.filter((variant, i) => variant !== after[i]).length / users.length;
    expect(moved).toBeGreaterThan(0.19);
    expect(moved).toBeLessThan(0.21);
  });

  it.each<[string, Record<string, string | string[]>, string]>([
    ["whom the route names", { "x-tenant-id": "internal", "x-variant": "canary" }, "canary"],
    [
      "no one else",
      { "x-tenant-id": "acme", "x-variant": "canary", "x-user-id": "user-1" },
      "stable",
    ],
    ["no one without identity", { "x-variant": "canary", "x-user-id": "user-1" }, "stable"],
    [
      "no one of two identities",
      { "x-tenant-id": ["internal", "acme"], "x-variant": "canary", "x-user-id": "user-1" },
      "stable",
    ],
    [
      "no one to a variant that is not there",
      { "x-tenant-id": "internal", "x-variant": "green", "x-user-id": "user-1" },
      "stable",
    ],
    [
      "no one by the header that routes match",
      { "x-weir-variant": "canary", "x-user-id": "user-1" },
      "stable",
    ],
    [
      "no one by that header twice",
      { "x-weir-variant": ["canary", "canary"], "x-user-id": "user-1" },
      "stable",
    ],
  ])("lets a variant be forced by %s", (_name, headers, variant) => {
    expect(value(worker("canary").request(requestHeaders(headers)).headers, "x-weir-variant")).toBe(
      variant,
    );
  });

  it("falls back to the API key, then the client's address, then chance", () => {
    const canary = worker("canary");
    const chosen = (headers: Record<string, string>, sourceAddress?: string) =>
      value(
        canary.request(requestHeaders(headers), sourceAddress ? { sourceAddress } : {}).headers,
        "x-weir-variant",
      );
    const byKey = users.slice(0, 500).map((user) => chosen({ authorization: `Bearer ${user}` }));
    expect(
      users
        .slice(0, 500)
        .map((user) => chosen({ "x-api-key": user, "x-request-id": user.toUpperCase() })),
    ).toEqual(byKey);
    const byAddress = users
      .slice(0, 500)
      .map((_, i) => chosen({}, `10.0.${i >> 8}.${i & 255}:1234`));
    expect(
      users
        .slice(0, 500)
        .map((_, i) => chosen({ "x-request-id": `r${i}` }, `10.0.${i >> 8}.${i & 255}:4321`)),
    ).toEqual(byAddress);
    const random = new Set(users.slice(0, 500).map((user) => chosen({ "x-request-id": user })));
    expect(random).toEqual(new Set(["stable", "canary"]));
  });
});

describe("shadow.wasm", () => {
  const tags = (shadow: Worker, headers: Record<string, string | string[]>) => {
    const after = shadow.request(requestHeaders(headers)).headers;
    return `${value(after, "x-shadow-mode")} ${value(after, "x-traffic-tag")}`;
  };

  it("tags its share of the matching requests, the same ones each time", () => {
    const shadow = worker("shadow");
    const tagged = () =>
      Array.from({ length: 10_000 }, (_, i) =>
        tags(shadow, { "x-team": "search", "x-request-id": `id-${i}` }),
      );
    const first = tagged();
    const share = first.filter((tag) => tag === "true shadow_2024").length;
    expect(share).toBeGreaterThan(420);
    expect(share).toBeLessThan(580);
    expect(new Set(first)).toEqual(new Set(["true shadow_2024", " "]));
    expect(tagged()).toEqual(first);
  });

  it.each<[string, Record<string, string | string[]>, string]>([
    ["removes a stranger's own", { "x-shadow-mode": "true", "X-Traffic-Tag": "mine" }, " "],
    ["removes it when sent twice", { "x-shadow-mode": ["true", "true"] }, " "],
    [
      "keeps that of a tenant the route names",
      { "x-tenant-id": "internal", "x-shadow-mode": "true", "x-traffic-tag": "load-test" },
      "true load-test",
    ],
    ["tags no other team", { "x-team": "ads" }, " "],
    ["tags no one of two teams", { "x-team": ["search", "ads"] }, " "],
  ])("%s", (_name, headers, expected) => {
    const all = worker("shadow", (route) => {
      route.shadow.percent = 100;
    });
    const lower = Object.fromEntries(
      Object.entries(headers).map(([key, each]) => [key.toLowerCase(), each]),
    );
    expect(tags(all, lower)).toBe(expected);
  });
});

describe("compression.wasm", () => {
  const acceptedBy = (headers: Record<string, string | string[]>, algorithms = ["gzip"]) =>
    value(
      worker("compression", (route) => {
        route.compression.algorithms = algorithms;
      }).request(requestHeaders(headers)).headers,
      "accept-encoding",
    );
  const { rows } = JSON.parse(readFileSync("test/vectors/accept-encoding.json", "utf8")) as {
    rows: { name: string; headers: string[] | null; gzip: boolean }[];
  };
  it.each(rows)("H13 agrees with Envoy on: $name", ({ headers, gzip }) => {
    expect(acceptedBy(headers === null ? {} : { "accept-encoding": headers })).toBe(
      gzip ? "gzip" : "",
    );
  });
  it.each<[string, Record<string, string | string[]>, string]>([
    ["the first that the route likes", { "accept-encoding": "gzip, br, zstd" }, "zstd"],
    ["the next when the first is not there", { "accept-encoding": "gzip, br" }, "br"],
    ["none that is refused", { "accept-encoding": "zstd;q=0, br;q=0, gzip" }, "gzip"],
    ["from two header lines", { "accept-encoding": ["identity;q=0.5", "br"] }, "br"],
    ["nothing when both are said of it", { "accept-encoding": "gzip, gzip;q=0" }, ""],
    ["nothing for a quality that is no number", { "accept-encoding": "gzip;q=NaN" }, ""],
    ["nothing out of 8 KiB of commas", { "accept-encoding": ",".repeat(8192) }, ""],
    ["nothing for an event stream", { "accept-encoding": "gzip", accept: "text/event-stream" }, ""],
    [
      "nothing for gRPC",
      { "accept-encoding": "gzip", "content-type": "application/grpc+proto" },
      "",
    ],
    ["nothing for an upgrade", { "accept-encoding": "gzip", upgrade: "websocket" }, ""],
    ["nothing for HEAD", { "accept-encoding": "gzip", ":method": "HEAD" }, ""],
    ["nothing for a range", { "accept-encoding": "gzip", range: "bytes=0-1" }, ""],
    [
      "nothing where it must not be transformed",
      { "accept-encoding": "gzip", "cache-control": "no-store, No-Transform" },
      "",
    ],
    ["nothing beside a cookie", { "accept-encoding": "gzip", cookie: "session=1" }, ""],
  ])("leaves %s", (_name, headers, expected) => {
    expect(acceptedBy(headers, ["zstd", "br", "gzip"])).toBe(expected);
  });
  it("compresses beside a cookie where the route trusts its answers", () => {
    const trusting = worker("compression", (route) => {
      route.compression.secrets = "allow";
    });
    expect(
      value(
        trusting.request(requestHeaders({ "accept-encoding": "gzip", cookie: "a=b" })).headers,
        "accept-encoding",
      ),
    ).toBe("gzip");
  });
});

describe("rate-limit.wasm", () => {
  const tier = (headers: Record<string, string | string[]>, edit?: (route: any) => void) =>
    value(worker("rate-limit", edit).request(requestHeaders(headers)).headers, "x-weir-tier");
  const key = "key-1";
  const hashed = (route: any) => {
    route.rateLimit.tenants = {
      [`sha256:${createHash("sha256").update(key).digest("hex")}`]: "gold",
    };
  };
  it.each<[string, Record<string, string | string[]>, string]>([
    ["a known tenant", { "x-tenant-id": "acme" }, "gold"],
    ["a known tenant, with spaces around", { "x-tenant-id": "  acme " }, "gold"],
    ["a tenant named twice", { "x-tenant-id": ["acme", "acme"] }, "gold"],
    ["a tenant named twice on one line", { "x-tenant-id": "acme, acme" }, "gold"],
    ["two different tenants", { "x-tenant-id": ["acme", "internal"] }, "bronze"],
    ["two different tenants on one line", { "x-tenant-id": "acme,internal" }, "bronze"],
    ["an unknown tenant", { "x-tenant-id": "nobody" }, "bronze"],
    ["an empty tenant", { "x-tenant-id": "" }, "bronze"],
    ["no tenant", {}, "bronze"],
    ["another case", { "x-tenant-id": "ACME" }, "bronze"],
    ["a header with underscores", { x_tenant_id: "acme" }, "bronze"],
    ["bytes that are no UTF-8", { "x-tenant-id": "acme\xff\xfe" }, "bronze"],
    ["a claimed tier", { "x-weir-tier": "gold" }, "bronze"],
  ])("gives %s its tier", (_name, headers, expected) => {
    expect(tier(headers)).toBe(expected);
  });
  it.each<[string, Record<string, string | string[]>, string]>([
    ["a key", { authorization: `Bearer ${key}` }, "gold"],
    ["a key in x-api-key", { "x-api-key": key }, "gold"],
    ["a key under another scheme's case", { authorization: `bEARER  ${key}` }, "gold"],
    ["another key", { authorization: "Bearer key-2" }, "bronze"],
    ["two keys", { authorization: `Bearer ${key}`, "x-api-key": "key-2" }, "bronze"],
    [
      "the key's digest, which is no secret",
      { "x-tenant-id": `sha256:${createHash("sha256").update(key).digest("hex")}` },
      "bronze",
    ],
    [
      "the digest as a key",
      { "x-api-key": `sha256:${createHash("sha256").update(key).digest("hex")}` },
      "bronze",
    ],
  ])("knows by its hash %s", (_name, headers, expected) => {
    expect(tier(headers, hashed)).toBe(expected);
  });
  it("refuses everyone of a tier whose rate is 0, and says not to come back", () => {
    const { reply } = worker("rate-limit").request(requestHeaders({ "x-tenant-id": "banned" }));
    expect(reply?.status).toBe(429);
    expect(reply?.headers).toContainEqual(["retry-after", "60"]);
    expect(reply?.headers).toContainEqual(["x-should-retry", "false"]);
  });
});

describe("weir.wasm", () => {
  it("decides as the four filters in a row", () => {
    const names = ["rate-limit", "shadow", "canary", "compression"];
    const config = fullConfig();
    config.routes[0].shadow.percent = 50;
    const chain = names.map((name) => configuredProxy(name, config).workers[0] as Worker);
    const one = configuredProxy("weir", config).workers[0] as Worker;
    for (let i = 0; i < 100; i++) {
      const headers = requestHeaders({
        "x-tenant-id": "acme",
        "x-user-id": `user-${i}`,
        "x-request-id": `id-${i}`,
        "x-team": "search",
        "accept-encoding": i % 2 ? "gzip" : "identity",
        "x-weir-variant": "canary",
        "x-weir-tier": "gold",
      });
      const chained = chain.reduce((sofar, each) => each.request(sofar).headers, headers);
      expect(new Map(one.request(headers).headers)).toEqual(new Map(chained));
    }
  });

  it("removes control headers on every route and on none", () => {
    const spoofed = {
      "x-weir-variant": "a",
      "x-weir-tier": "b",
      "x-weir-tenant": "c",
      "x-shadow-mode": "true",
      "x-traffic-tag": "d",
    };
    const shared = createSharedState();
    const empty = startWorker(compiled("weir"), shared);
    for (const config of [
      undefined,
      '{"revision":"r"}',
      '{"revision":"r","routes":[{"name":"n","hosts":["chat.example.com"]}]}',
    ]) {
      if (config) empty.configure(1, config);
      const { headers } = empty.request(requestHeaders(spoofed));
      for (const name of Object.keys(spoofed)) expect(value(headers, name)).toBe("");
    }
  });

  it("removes control headers from trailers", () => {
    const one = worker("weir");
    for (const map of ["request", "response"] as const)
      expect(
        one.trailers(map, [
          ["x-weir-variant", "a"],
          ["grpc-status", "0"],
          ["x-shadow-mode", "true"],
        ]),
      ).toEqual([["grpc-status", "0"]]);
  });

  it("lets requests pass that lack what others have", () => {
    const one = worker("weir");
    expect(one.request([]).action).toBe(0);
    expect(
      one.request([
        [":method", "CONNECT"],
        [":authority", "chat.example.com:443"],
      ]).action,
    ).toBe(0);
    expect(
      one.request([
        [":method", "OPTIONS"],
        [":path", "*"],
      ]).action,
    ).toBe(0);
    expect(
      one.request(
        requestHeaders(
          Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`h-${i}`, "x".repeat(8192)])),
        ),
      ).action,
    ).toBe(0);
  });
});
