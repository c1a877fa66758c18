import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { createSharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import {
  compiled,
  configuredProxy,
  fullConfig,
  fullestConfig,
  requestHeaders,
  selectConfig,
} from "../module.ts";
import { events, says, stream, tokenConfig } from "../token-limit/token-streams.ts";

// Rows V3 to V8 of docs/bad-inputs.md: a host that fails, and a clock that lies.

const modules: [name: string, config: () => any][] = [
  ["weir", fullConfig],
  ["weir-full", fullestConfig],
  ["token-limit", tokenConfig],
  ["route-select", selectConfig],
];
const acme = requestHeaders({ "x-tenant-id": "acme", "x-user-id": "ada" });

/** Everything a module is ever called for, once. */
function everything(worker: Worker, config: object): void {
  worker.configure(2, JSON.stringify(config));
  const exchange = worker.exchange(acme);
  try {
    exchange.requestBody(Buffer.from('{"stream":true,"max_tokens":50}'), true);
    exchange.responseHeaders(events);
    exchange.responseBody(Buffer.from(stream(says("a"), "[DONE]")), true);
  } catch (error) {
    // A stop is an answer as well; a trap is none.
    if (error instanceof WebAssembly.RuntimeError) throw error;
  }
  exchange.end();
  worker.trailers("request", [["x-weir-tier", "gold"]]);
  worker.trailers("response", [["x-weir-tier", "gold"]]);
  worker.tick(1);
  worker.answerCall(1, { status: 200, body: "{}" });
  worker.remove(2);
}

describe.each(modules)("%s.wasm", (name, config) => {
  it("V3 refuses an allocation beyond the memory there is, before the host traps", () => {
    const module = new WebAssembly.Module(withMostPages(readFileSync(`build/${name}.wasm`), 64));
    const worker = startWorker(module, createSharedState());
    for (const bytes of [5 << 20, 0x7fffffff, 0xffffffff])
      expect(worker.raw("proxy_on_memory_allocate", bytes)).toBe(0);
    expect(worker.configure(1, JSON.stringify(config()))).toBe(true);
    // Configurations that are as large as may be, until no more fit.
    const tenants = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, i) => [`tenant-${i}-${"x".repeat(20)}`, "bronze"]),
    );
    const large = config();
    const [route] = large.routes;
    if (route.select)
      route.select.match = Object.keys(tenants)
        .slice(0, 4096)
        .map((model) => ({ rank: 1, model }));
    else Object.assign((route.rateLimit ?? route.tokenLimit).tenants, tenants);
    for (let root = 2; root < 12; root++) worker.configure(root, JSON.stringify(large));
    expect(worker.memoryBytes()).toBeLessThanOrEqual(64 << 16);
    expect(worker.exchange(acme).reply()).toBeUndefined();
  });

  it("V4 lives through every status of every host call, and works afterwards", () => {
    const { shared, workers } = configuredProxy(name, config());
    const [worker] = workers as [Worker];
    const imports = WebAssembly.Module.imports(compiled(name)).map(({ name: call }) => call);
    for (const failing of [...imports, "all"])
      for (const status of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
        worker.setFault((call) => (call === failing || failing === "all" ? status : undefined));
        shared.nowNs += 1_000_000_000n;
        everything(worker, config());
      }
    worker.setFault(undefined);
    everything(worker, config());
    expect(worker.request(acme).reply).toBeUndefined();
  });

  it("V5 gives up on shared data that never agrees, after a few tries", () => {
    const { workers } = configuredProxy(name, config());
    const [worker] = workers as [Worker];
    worker.setFault((call) => (call === "proxy_set_shared_data" ? 8 : undefined));
    const exchange = worker.exchange(acme);
    const writes = exchange.calls().filter((call) => call === "proxy_set_shared_data").length;
    expect(writes).toBeLessThanOrEqual(16);
    expect(exchange.reply()).toBeUndefined();
  });
});

/** A proxy whose unknown may send 100 requests a second, 200 at once. */
function limited(workers: number) {
  const config = fullConfig();
  config.routes[0].rateLimit.tiers.bronze = { requestsPerSecond: 100, burst: 200 };
  return configuredProxy("weir", config, workers);
}
const admits = (worker: Worker) => worker.request(requestHeaders()).reply === undefined;

it("V5 holds each worker to the limit while shared data fails", () => {
  const { workers } = limited(1);
  const [worker] = workers as [Worker];
  worker.setFault((call) => (call === "proxy_set_shared_data" ? 8 : undefined));
  let admitted = 0;
  for (let i = 0; i < 1000; i++) if (admits(worker)) admitted++;
  expect(admitted).toBeLessThanOrEqual(200);
});

it.each<[string, bigint]>([
  ["back an hour", -3_600_000_000_000n],
  ["on a year", 31_536_000_000_000_000n],
  ["not at all", 0n],
])(
  "V6 lets in no more than a burst when the clock goes %s, and locks no one out for long",
  (_name, by) => {
    const { shared, workers } = limited(1);
    const [worker] = workers as [Worker];
    const burst = () => Array.from({ length: 1000 }, () => admits(worker)).filter(Boolean).length;
    expect(burst()).toBe(200);
    shared.nowNs += by;
    expect(burst()).toBeLessThanOrEqual(200);
    // A window is two seconds; the jump itself may be waited for one more.
    shared.nowNs += 3_000_000_000n;
    expect(burst()).toBeGreaterThan(100);
  },
);

it.each([1, 4, 64])(
  "V7 holds the proxy's limit on %i workers: it is shared, not each one's",
  (count) => {
    const { shared, workers } = limited(count);
    let admitted = 0;
    const seconds = 5;
    for (let ms = 0; ms < seconds * 1000; ms++) {
      shared.nowNs += 1_000_000n;
      for (let i = 0; i < 2; i++) if (admits(workers[(ms * 2 + i) % count] as Worker)) admitted++;
    }
    // Twice the limit is asked for. Leases, an eighth of what is there, come out of the bucket.
    expect(admitted).toBeLessThanOrEqual(100 * seconds + 200);
    expect(admitted).toBeGreaterThan(100 * seconds * 0.9);
  },
);

it("V8 lets in one burst after a minute without a tick, not a minute's worth", () => {
  const { shared, workers } = limited(1);
  const [worker] = workers as [Worker];
  while (admits(worker));
  shared.nowNs += 60_000_000_000n;
  worker.tick(1);
  let admitted = 0;
  for (let i = 0; i < 7000; i++) if (admits(worker)) admitted++;
  expect(admitted).toBeLessThanOrEqual(200);
});

/** A module whose memory may not grow beyond so many pages (WebAssembly core specification, 5.5.8). */
function withMostPages(wasm: Buffer, max: number): Buffer<ArrayBuffer> {
  let at = 8;
  while (at < wasm.length) {
    const start = at;
    const section = wasm[at++];
    const [size, behind] = leb(wasm, at);
    at = behind + size;
    if (section !== 5) continue;
    // One memory with a minimum alone: its limits gain a maximum.
    expect([wasm[behind], wasm[behind + 1]]).toEqual([1, 0]);
    const min = wasm.subarray(behind + 2, at);
    const limits = Buffer.concat([
      Buffer.from([1, 1]),
      min,
      Buffer.from([(max & 127) | 128, max >> 7]),
    ]);
    const head = Buffer.from([5, limits.length]);
    return Buffer.concat([wasm.subarray(0, start), head, limits, wasm.subarray(at)]);
  }
  throw new Error("no memory");
}

function leb(bytes: Buffer, from: number): [value: number, behind: number] {
  let value = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}
