import { describe, expect, it } from "vitest";
import { createSharedState } from "../host/proxy.ts";
import { startWorker } from "../host/worker.ts";
import { compiled, fullConfig } from "./module.ts";
import { refused } from "./refused-configs.ts";

/** mulberry32: the same run every time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const names = [
  ":authority",
  ":method",
  "x-tenant-id",
  "x-user-id",
  "authorization",
  "x-api-key",
  "accept-encoding",
  "x-variant",
  "x-weir-variant",
  "x-shadow-mode",
  "x-request-id",
  "x-team",
  "content-type",
  "cookie",
  "range",
];
const values = [
  "chat.example.com",
  "acme",
  "internal",
  "Bearer x",
  "gzip;q=0.5,br",
  "true",
  "search",
  "",
  ",,,",
  "a,a",
  "\xff\xfe\x00",
  "application/grpc",
  "x".repeat(300),
];

const modules = ["weir", "weir-full", "rate-limit", "canary", "shadow", "compression"];

describe.each(modules)("%s.wasm", (name) => {
  it("survives 40,000 callbacks of any kind, order and content, with a host that fails at random", () => {
    const random = generator(name.length * 7919);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const bytes = () =>
      Array.from({ length: Math.floor(random() * 40) }, () =>
        String.fromCharCode(random() * 256),
      ).join("");
    const shared = createSharedState();
    const worker = startWorker(compiled(name), shared);
    const good = JSON.stringify(fullConfig());
    const roots = [1, 2, 3, 4, 5];
    worker.setFault((call) =>
      call !== "proxy_log" && random() < 0.05 ? pick([1, 2, 6, 8, 10]) : undefined,
    );
    for (let i = 0; i < 40_000; i++) {
      shared.nowNs += BigInt(Math.floor(random() * 3e9)) - 1_000_000_000n;
      const dice = random();
      if (dice < 0.02) worker.configure(pick(roots), random() < 0.5 ? good : cut(good, random));
      else if (dice < 0.03) worker.configure(pick(roots), pick(refused)[1].slice(0, 5000));
      else if (dice < 0.05) worker.remove(pick(roots));
      else if (dice < 0.08) worker.tick(pick(roots));
      else if (dice < 0.1) worker.trailers(pick(["request", "response"]), [[pick(names), bytes()]]);
      else if (dice < 0.12)
        worker.raw("proxy_on_memory_allocate", Math.floor(random() * 2 ** pick([4, 16, 24, 32])));
      else {
        const headers = Array.from({ length: Math.floor(random() * 15) }, (): [string, string] => [
          random() < 0.9 ? pick(names) : bytes(),
          random() < 0.8 ? pick(values) : bytes(),
        ]);
        worker.request(headers, { plugin: pick(["a", "b"]) });
      }
      if (shared.log.length > 1000) shared.log.length = 0;
    }
    // It still does its work afterwards.
    worker.setFault(undefined);
    expect(worker.configure(9, good)).toBe(true);
    expect(
      worker.request([
        [":authority", "chat.example.com"],
        ["x-tenant-id", "acme"],
      ]).calls.length,
    ).toBeGreaterThan(0);
    expect(worker.memoryBytes()).toBeLessThan(64 << 20);
  });
});

/** A text with a few of its bytes changed. */
function cut(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length);
  return (
    text.slice(0, at) +
    String.fromCharCode(32 + random() * 90) +
    text.slice(at + Math.floor(random() * 3))
  );
}
