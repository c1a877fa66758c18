import { Buffer } from "node:buffer";
import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compiled, fullConfig } from "../filters/module.ts";
import { answerTo } from "../host/local-reply.ts";
import { createSharedState, type SharedState } from "../host/proxy.ts";
import { startWorker, type Worker } from "../host/worker.ts";
import { generator } from "../random.ts";
import { type Recorded, type Recorder, startRecorder } from "./truth/record.ts";

// The emulated host is only worth something if it does what Envoy does: requests
// that a real Envoy's filter was given are given to the emulated one, in the same
// order, and every header and every answer must come out the same to the byte.

/** Two plug-ins in one VM: one with all policies, one that only splits. */
function configs(): Record<string, { routes: any[] }> {
  const all = fullConfig();
  // So slow that the outcome does not depend on how fast the test is.
  all.routes[0].rateLimit.tiers.bronze = { requestsPerSecond: 0.001, burst: 12 };
  all.routes[0].rateLimit.tiers.gold = { requestsPerSecond: 100_000, burst: 1_000_000 };
  const split = fullConfig();
  delete split.routes[0].rateLimit;
  split.routes[0].canary.buckets = [
    { variant: "canary", count: 5000 },
    { variant: "stable", count: 5000 },
  ];
  return { all, split };
}

const lines = [
  "x-tenant-id: acme",
  "x-tenant-id: internal",
  "x-tenant-id: banned",
  "x-tenant-id: nobody",
  "x-tenant-id: acme, acme",
  "x-tenant-id: acme,internal",
  "x-tenant-id: sha256:7fdb",
  "x-user-id: ada",
  "x-user-id: bob",
  "x-user-id: \xc3\xa9\xff\x80",
  "authorization: Bearer key-1",
  "authorization: bEaReR  key-2",
  "x-api-key: key-1",
  "x-variant: canary",
  "x-variant: none",
  "x-weir-variant: canary",
  "X-Weir-Variant: stable",
  "x-weir-tenant: acme",
  "x-weir-tier: gold",
  "x-shadow-mode: true",
  "x-traffic-tag: mine",
  "x-team: search",
  "x-team: other",
  "x-request-id: 3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
  "x-request-id: not an id",
  "accept-encoding: gzip",
  "accept-encoding: br;q=0.5, zstd;q=0.7, gzip",
  "accept-encoding: identity",
  "accept-encoding: *;q=0",
  "accept-encoding: ,,, gzip;q=, br;Q=1",
  "accept: text/event-stream",
  "content-type: application/grpc",
  "content-type: application/grpc+proto",
  "cookie: session=1",
  "range: bytes=0-9",
  "cache-control: no-transform",
  "x-empty:",
  `x-long: ${"x".repeat(9000)}`,
];
const hosts = [
  "chat.example.com",
  "CHAT.example.com:8080",
  "a.wild.example.com",
  "else.example.com",
];
const methods = ["GET", "POST", "HEAD", "OPTIONS"];

function requestOf(random: () => number): { plugin: string; bytes: Buffer } {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const more = Array.from({ length: Math.floor(random() * 10) }, () => pick(lines));
  // A HEAD's answer has no body to read the recorded headers from.
  const method = pick(methods.filter((name) => name !== "HEAD"));
  const head = [
    `${method} /v1/models?x=${Math.floor(random() * 9)} HTTP/1.1`,
    `host: ${pick(hosts)}`,
  ];
  const text = [...head, ...more, "", ""].join("\r\n");
  return { plugin: random() < 0.7 ? "all" : "split", bytes: Buffer.from(text, "latin1") };
}

/** Envoy's clock may have stood that far behind the test's when a bucket was first used. */
const slackMs = 500;

let recorder: Recorder;
beforeAll(async () => {
  recorder = await startRecorder(configs());
});
afterAll(() => recorder.stop());

/** The emulated twin of that Envoy. */
function twin() {
  const shared = createSharedState();
  const worker = startWorker(compiled("weir"), shared);
  for (const [i, [plugin, config]] of Object.entries(configs()).entries())
    expect(worker.configure(i + 1, JSON.stringify(config), plugin)).toBe(true);
  return { shared, worker };
}

/** Whether Envoy adds a header to answers once they have passed the filters. */
function isLate(name: string, body: string): boolean {
  return ["date", "server", "connection"].includes(name) || (name === "content-length" && !body);
}

/** Repeats a refusal at each millisecond at which Envoy may have made it. */
function replayRefusal(worker: Worker, shared: SharedState, recorded: Recorded, plugin: string) {
  const wanted = {
    headers: [
      [":status", `${recorded.status}`],
      ...recorded.headers.filter(([key]) => !isLate(key, recorded.body)),
    ],
    body: recorded.body,
  };
  let made: object | undefined;
  for (let ms = recorded.sentMs - slackMs; ms <= recorded.readMs; ms++) {
    shared.nowNs = BigInt(ms) * 1_000_000n;
    const { reply } = worker.request(recorded.before, { plugin, sourceAddress: "127.0.0.1:1" });
    if (reply === undefined) continue;
    made = answerTo(recorded.before, reply);
    if (isDeepStrictEqual(made, wanted)) break;
  }
  return { made, wanted };
}

describe("the emulated host", () => {
  it("does with 400 recorded requests what Envoy did, to the byte", async () => {
    const random = generator(20_26);
    const { shared, worker } = twin();
    const seen = { passed: 0, changed: 0, refused: 0 };
    for (let i = 0; i < 400; i++) {
      const { plugin, bytes } = requestOf(random);
      const recorded = await recorder.send(plugin, bytes);
      const told = `request ${i}: ${bytes.toString("latin1").slice(0, 400)}`;
      shared.nowNs = BigInt(recorded.sentMs) * 1_000_000n;
      const outcome = worker.request(recorded.before, { plugin, sourceAddress: "127.0.0.1:1" });
      if (recorded.after) {
        expect(outcome.reply, told).toBeUndefined();
        expect(outcome.headers, told).toEqual(recorded.after);
        seen.passed++;
        if (JSON.stringify(recorded.before) !== JSON.stringify(recorded.after)) seen.changed++;
      } else {
        const { made, wanted } = replayRefusal(worker, shared, recorded, plugin);
        expect(made, told).toEqual(wanted);
        seen.refused++;
      }
    }
    expect(seen.passed).toBeGreaterThan(150);
    expect(seen.changed).toBeGreaterThan(100);
    expect(seen.refused).toBeGreaterThan(40);
  });
});
