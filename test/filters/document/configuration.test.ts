import { describe, expect, it } from "vitest";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker } from "../../host/worker.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";
import { refused, refusedByFull } from "./refused-configs.ts";

const weir = compiled("weir");

describe("a configuration is refused with one line that says where", () => {
  function refusal(module: WebAssembly.Module, text: string | Buffer): string {
    const shared = createSharedState();
    expect(startWorker(module, shared).configure(1, text)).toBe(false);
    expect(shared.log.map(({ message }) => message)).toHaveLength(1);
    return shared.log[0]?.message ?? "";
  }
  it.each(refused)("%s", (_name, text, words) => {
    expect(refusal(weir, text)).toMatch(/^weir all: configuration refused: /);
    expect(refusal(weir, text)).toContain(words);
  });
  it.each(refusedByFull)("%s", (_name, text, words) => {
    expect(refusal(compiled("weir-full"), text)).toContain(`weir full: configuration refused: `);
    expect(refusal(compiled("weir-full"), text)).toContain(words);
  });
  it.each(refusedByFull)("%s, by a module that does not know of it", (_name, text) => {
    expect(refusal(weir, text)).toContain("is an unknown field");
  });
});

describe("a configuration is taken", () => {
  it.each([
    ["with a byte order mark", `\ufeff${JSON.stringify(fullConfig())}`],
    ["without routes", '{"revision":"r"}'],
    [
      "with names that mean something to JavaScript",
      '{"revision":"r","routes":[{"name":"n","hosts":["h"],"rateLimit":{"identity":[{"header":"__proto__"}],"tiers":{"t":{"requestsPerSecond":1}},"tenants":{"__proto__":"t","constructor":"t"},"default":"t"}}]}',
    ],
    [
      "with 10,000 tenants",
      JSON.stringify({
        revision: "r",
        routes: [
          {
            name: "n",
            hosts: ["h"],
            rateLimit: {
              identity: [{ header: "a" }],
              tiers: { t: { requestsPerSecond: 1 } },
              tenants: Object.fromEntries(
                Array.from({ length: 10_000 }, (_, i) => [`tenant-${i}`, "t"]),
              ),
              default: "t",
            },
          },
        ],
      }),
    ],
  ])("%s", (_name, text) => {
    const shared = createSharedState();
    expect(startWorker(weir, shared).configure(1, text), JSON.stringify(shared.log)).toBe(true);
  });
});

it("goes on with the old configuration when a new one is refused", () => {
  const { workers } = configuredProxy("weir", fullConfig());
  const worker = workers[0];
  expect(worker?.configure(2, "{}")).toBe(false);
  worker?.remove(2);
  expect(worker?.request(requestHeaders({ "x-tenant-id": "acme" })).headers).toContainEqual([
    "x-weir-tier",
    "gold",
  ]);
});

it("gives new streams the newest configuration of their own plug-in", () => {
  const shared = createSharedState();
  const worker = startWorker(weir, shared);
  const routed = (variant: string) =>
    JSON.stringify({
      revision: variant,
      routes: [
        {
          name: "n",
          hosts: ["*"],
          canary: {
            stickyBy: [{ header: "u" }],
            salt: "s",
            variants: [variant],
            buckets: [{ variant, count: 10000 }],
          },
        },
      ],
    });
  const variantFor = (plugin: string) =>
    worker
      .request(requestHeaders(), { plugin })
      .headers.find(([key]) => key === "x-weir-variant")?.[1];
  worker.configure(1, routed("old-a"), "a");
  worker.configure(2, routed("b"), "b");
  worker.configure(3, routed("new-a"), "a");
  expect(variantFor("a")).toBe("new-a");
  expect(variantFor("b")).toBe("b");
  worker.remove(3);
  expect(variantFor("a")).toBe("old-a");
});

it("finds a route by exact host, then the longest wildcard, then the rest", () => {
  const shared = createSharedState();
  const worker = startWorker(weir, shared);
  const route = (host: string, variant: string) => ({
    name: variant,
    hosts: [host],
    canary: {
      stickyBy: [{ header: "u" }],
      salt: "s",
      variants: [variant],
      buckets: [{ variant, count: 10000 }],
    },
  });
  const routes = [
    route("a.example.com", "exact"),
    route("*.example.com", "wild"),
    route("*.b.example.com", "wilder"),
    route("*", "any"),
  ];
  worker.configure(1, JSON.stringify({ revision: "r", routes }));
  const routed = (host: string) =>
    worker
      .request(requestHeaders({ ":authority": host }))
      .headers.find(([key]) => key === "x-weir-variant")?.[1];
  expect(routed("a.example.com")).toBe("exact");
  expect(routed("A.Example.COM:8443")).toBe("exact");
  expect(routed("x.example.com")).toBe("wild");
  expect(routed("x.y.b.example.com:80")).toBe("wilder");
  expect(routed("example.com")).toBe("any");
  expect(routed("[::1]:80")).toBe("any");
  expect(routed("")).toBe("any");
  expect(routed("x".repeat(5000))).toBe("any");
});

it("stops its timer when it goes: Envoy would let it fire for ever", () => {
  const worker = startWorker(weir, createSharedState());
  const config = JSON.stringify(fullConfig());
  expect(worker.configure(1, config)).toBe(true);
  expect(worker.configure(2, config)).toBe(true);
  expect(worker.tickPeriods).toEqual(new Map([1, 2].map((root) => [root, 1000])));
  worker.request(requestHeaders());
  worker.remove(1);
  expect(worker.tickPeriods.get(1)).toBe(0);
  expect(worker.tickPeriods.get(2)).toBe(1000);
  expect(worker.tickPeriods.size).toBe(2);
});
