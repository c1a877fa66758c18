import { BlockList, isIPv4 } from "node:net";
import { describe, expect, it } from "vitest";
import { namedRanges } from "../../../control/route/filter/caller-sources.ts";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { compiled, configuredProxy, fullConfig, requestHeaders } from "../module.ts";

// Tenants that are ranges of addresses: the narrowest that holds the caller's is the tenant.

const sourceIp = { source: { case: "sourceIp" as const, value: true } };
/** Names as the control service hands them to the filter. */
const ordered = (names: string[]) =>
  namedRanges({
    identity: [sourceIp],
    tenants: Object.fromEntries(names.map((name) => [name, "gold"])),
  } as never);

function configWith(names: string[], before: object[] = []): any {
  const config = fullConfig();
  Object.assign(config.routes[0], { canary: undefined, shadow: undefined });
  Object.assign(config.routes[0].rateLimit, {
    identity: [...before, { sourceIp: true, ranges: ordered(names) }],
    tenants: Object.fromEntries([...names, "acme"].map((name) => [name, "gold"])),
  });
  const many = { requestsPerSecond: 100_000, burst: 100_000 };
  config.routes[0].rateLimit.tiers = { gold: many, bronze: many };
  return config;
}

function start(names: string[], before?: object[]): Worker {
  return configuredProxy("weir-full", configWith(names, before)).workers[0] as Worker;
}

/** Tenant that a caller from there is found to be; undefined for a stranger. */
function tenantOf(worker: Worker, from: string, headers: Record<string, string> = {}) {
  const outcome = worker.request(requestHeaders(headers), {
    properties: { "source.address": from },
  });
  return outcome.headers.find(([name]) => name === "x-weir-tenant")?.[1];
}
const onPort = (address: string) => (isIPv4(address) ? `${address}:4711` : `[${address}]:4711`);

describe("a caller's address", () => {
  const worker = start([
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "10.1.2.128/25",
    "172.16.0.0/12",
    "192.0.2.0/31",
    "2001:db8::/32",
    "2001:db8:0:ff00::/56",
    "2001:db8::7",
    "fc00::/7",
    "::1",
  ]);
  it.each<[from: string, tenant: string | undefined]>([
    ["10.200.0.1:80", "10.0.0.0/8"],
    ["10.255.255.255:80", "10.0.0.0/8"],
    ["11.0.0.0:80", undefined],
    ["9.255.255.255:80", undefined],
    ["10.1.2.4:80", "10.1.0.0/16"],
    ["10.1.2.3:80", "10.1.2.3"],
    ["10.1.2.30:80", "10.1.0.0/16"],
    ["10.1.2.127:80", "10.1.0.0/16"],
    ["10.1.2.128:80", "10.1.2.128/25"],
    ["10.1.2.255:80", "10.1.2.128/25"],
    ["172.15.255.255:80", undefined],
    ["172.16.0.0:80", "172.16.0.0/12"],
    ["172.31.255.255:80", "172.16.0.0/12"],
    ["172.32.0.0:80", undefined],
    ["192.0.2.0:1", "192.0.2.0/31"],
    ["192.0.2.1:1", "192.0.2.0/31"],
    ["192.0.2.2:1", undefined],
    ["[::ffff:10.1.2.3]:80", "10.1.2.3"],
    ["[::ffff:10.9.9.9]:80", "10.0.0.0/8"],
    ["[2001:db8::7]:80", "2001:db8::7"],
    ["[2001:db8::8]:80", "2001:db8::/32"],
    ["[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:80", "2001:db8::/32"],
    ["[2001:db8:0:ffff::1]:80", "2001:db8:0:ff00::/56"],
    ["[2001:db8:0:feff::1]:80", "2001:db8::/32"],
    ["[2001:db7:ffff::]:80", undefined],
    ["[2001:db9::]:80", undefined],
    ["[fdff::1%eth0]:80", "fc00::/7"],
    ["[fe00::1]:80", undefined],
    ["[::1]:80", "::1"],
    ["[::]:80", undefined],
    ["[::10.1.2.3]:80", undefined],
    ["/var/run/envoy.sock", undefined],
    ["", undefined],
    [":", undefined],
    ["[1:2:3]:4", undefined],
    ["[1:2:3:4:5:6:7:8:9]:1", undefined],
    ["[1:2:3:4:5:6:7:1.2.3.4]:1", undefined],
    ["1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17:1", undefined],
  ])("%s is of %s", (from, tenant) => {
    expect(tenantOf(worker, from)).toBe(tenant);
  });
});

it("every address is of the narrowest of 200 ranges that holds it", () => {
  const next = generator(7);
  const below = (upper: number) => Math.floor(next() * upper);
  const v4 = () => `10.${below(4)}.${below(4)}.${below(256)}`;
  const v6 = () => `2001:db8:${below(3).toString(16)}:${below(65_536).toString(16)}::${below(9)}`;
  const names = new Set<string>();
  while (names.size < 200) {
    const isV4 = below(2) === 0;
    const name = `${isV4 ? v4() : v6()}/${isV4 ? 6 + below(26) : 20 + below(108)}`;
    const [written = name] = [canonical(name)];
    names.add(written);
  }
  const worker = start([...names]);
  const bitsOf = (name: string) => Number(name.split("/")[1]);
  for (let i = 0; i < 2000; i++) {
    const address = i % 2 ? v4() : v6();
    const family = i % 2 ? "ipv4" : "ipv6";
    const holding = [...names].filter((name) => {
      const [net = "", bits] = name.split("/");
      if (isIPv4(net) !== (family === "ipv4")) return false;
      const list = new BlockList();
      list.addSubnet(net, Number(bits), family);
      return list.check(address, family);
    });
    const [narrowest] = holding.sort((a, b) => bitsOf(b) - bitsOf(a));
    expect(tenantOf(worker, onPort(address)), address).toBe(narrowest);
  }
});

it("all addresses of one kind are of the range of no bits", () => {
  const worker = start(["0.0.0.0/0"]);
  expect(tenantOf(worker, "203.0.113.7:80")).toBe("0.0.0.0/0");
  expect(tenantOf(worker, "[2001:db8::7]:80")).toBeUndefined();
  const both = start(["0.0.0.0/0", "::/0"]);
  expect(tenantOf(both, "203.0.113.7:80")).toBe("0.0.0.0/0");
  expect(tenantOf(both, "[2001:db8::7]:80")).toBe("::/0");
});

it("a source before it goes before it", () => {
  const worker = start(["10.0.0.0/8"], [{ header: "x-tenant-id" }]);
  expect(tenantOf(worker, "10.1.2.3:80")).toBe("10.0.0.0/8");
  expect(tenantOf(worker, "10.1.2.3:80", { "x-tenant-id": "acme" })).toBe("acme");
  expect(tenantOf(worker, "10.1.2.3:80", { "x-tenant-id": "other" })).toBeUndefined();
});

it("a header that claims a range identifies no one", () => {
  const worker = start(["10.0.0.0/8", "192.0.2.7"], [{ header: "x-tenant-id" }]);
  for (const claim of ["10.0.0.0/8", "192.0.2.7"])
    expect(tenantOf(worker, "203.0.113.7:80", { "x-tenant-id": claim })).toBeUndefined();
});

it("an address of IPv4 that came as one of IPv6 has its own name, in weir.wasm too", () => {
  const config = fullConfig();
  config.routes[0].rateLimit.identity = [{ sourceIp: true }];
  config.routes[0].rateLimit.tenants = { "10.1.2.3": "gold", "::1": "gold" };
  for (const module of ["weir", "weir-full", "rate-limit"]) {
    const worker = configuredProxy(module, config).workers[0] as Worker;
    for (const from of ["10.1.2.3:80", "[::ffff:10.1.2.3]:80"])
      expect(tenantOf(worker, from), module).toBe("10.1.2.3");
    expect(tenantOf(worker, "[::1]:80")).toBe("::1");
    expect(tenantOf(worker, "[::ffff:10.1.2.4]:80")).toBeUndefined();
  }
});

it.each<[string, unknown]>([
  ["words", ["acme"]],
  ["too many bits", ["10.0.0.0/33"]],
  ["too many bits of IPv6", ["2001:db8::/129"]],
  ["half an address", ["10.0.0/8"]],
  ["nothing", [""]],
  ["no list", "10.0.0.0/8"],
  ["numbers", [10]],
  ["257 of them", Array.from({ length: 257 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)],
])("a configuration with %s for ranges is refused", (_name, ranges) => {
  const config = configWith(["10.0.0.0/8"]);
  const worker = startWorker(compiled("weir-full"), createSharedState());
  expect(worker.configure(1, JSON.stringify(config))).toBe(true);
  config.routes[0].rateLimit.identity[0].ranges = ranges;
  expect(worker.configure(2, JSON.stringify(config))).toBe(false);
});

it.each(["weir", "rate-limit", "token-limit"])(
  "%s.wasm refuses ranges: it would not know them",
  (module) => {
    const config = configWith(["10.0.0.0/8"]);
    const [route] = config.routes;
    if (module === "token-limit")
      config.routes = [
        {
          name: route.name,
          hosts: route.hosts,
          tokenLimit: {
            identity: route.rateLimit.identity,
            tiers: { gold: {} },
            tenants: {},
            default: "gold",
            variants: ["stable"],
            expectedTokens: 1,
          },
        },
      ];
    const worker = startWorker(compiled(module), createSharedState());
    expect(worker.configure(1, JSON.stringify(config))).toBe(false);
  },
);

/** A range with nothing behind the bits in common. */
function canonical(name: string): string {
  const [address = "", text] = name.split("/");
  const bits = Number(text);
  const isV4 = isIPv4(address);
  const groups = isV4 ? address.split(".").map(Number) : expand(address);
  const width = isV4 ? 8 : 16;
  const kept = groups.map((group, i) => {
    const left = Math.max(0, Math.min(width, bits - i * width));
    return (group >> (width - left)) << (width - left);
  });
  const plain = isV4 ? kept.join(".") : kept.map((each) => each.toString(16)).join(":");
  return `${isV4 ? plain : new URL(`http://[${plain}]`).hostname.slice(1, -1)}/${bits}`;
}

function expand(address: string): number[] {
  const [head = "", tail = ""] = address.split("::");
  const numbers = (part: string) => part.split(":").map((each) => Number.parseInt(each, 16));
  const [before, behind] = [numbers(head), numbers(tail)];
  return [...before, ...Array<number>(8 - before.length - behind.length).fill(0), ...behind];
}
