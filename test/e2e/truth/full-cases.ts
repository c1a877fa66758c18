import { Buffer } from "node:buffer";
import { fullestConfig } from "../../filters/module.ts";
import type { Headers } from "../../host/header-map.ts";
import type { Body, Exchanged } from "./play.ts";

// Requests to weir-full.wasm and answers of its pods: who asks, what they claim,
// and what the pods say of themselves.

function config(): object {
  const all = fullestConfig();
  delete all.report;
  const [chat] = all.routes;
  Object.assign(chat.rateLimit, {
    concurrent: 4,
    tiers: {
      // So fast or so slow that the outcome does not depend on how fast the test is.
      gold: { requestsPerSecond: 100_000, burst: 1_000_000, concurrent: 2, priority: 10 },
      silver: { requestsPerSecond: 100_000, burst: 1_000_000, objective: "batch", priority: 1 },
      bronze: { requestsPerSecond: 0.001, burst: 40, concurrent: 2, priority: 1 },
      blocked: {},
    },
  });
  Object.assign(chat.rateLimit.tenants, { late: "silver" });
  Object.assign(chat.shadow, { baggage: true, percent: 50, maxBodyBytes: 20 });
  chat.canary.pins = { late: "canary" };
  const divert = structuredClone(chat);
  Object.assign(divert, { name: "inference/divert", hosts: ["divert.example.com"] });
  divert.rateLimit.fleet = undefined;
  divert.rateLimit.overload = undefined;
  Object.assign(divert.shadow, { divert: true, percent: 20 });
  divert.canary.conversations = { header: "x-user-id", idleSeconds: 3600 };
  const arrive = {
    name: "inference/arrive",
    hosts: ["arrive.example.com"],
    shadow: { arrival: true, tag: "next", baggage: true },
  };
  return { ...all, routes: [chat, divert, arrive] };
}

export const fullTruth = { file: "build/weir-full.wasm", config: config() };

const callers: Headers[] = [
  ...["acme", "acme", "acme", "internal", "internal", "late", "late", "late"],
  ...["banned", "nobody", "nobody", "acme, acme"],
]
  .map((tenant): Headers => [["x-tenant-id", tenant]])
  .concat([
    [],
    [
      ["x-tenant-id", "acme"],
      ["x-tenant-id", "late"],
    ],
  ]);

const claims: Headers = [
  ["authorization", "Bearer key-1"],
  ["x-user-id", "ada"],
  ["x-user-id", "bob"],
  ["x-variant", "canary"],
  ["x-weir-variant", "stable"],
  ["x-weir-tenant", "acme"],
  ["x-weir-tier", "gold"],
  ["x-shadow-mode", "true"],
  ["x-traffic-tag", "mine"],
  ["x-team", "search"],
  ["baggage", "a=1, weir.shadow=mine,b=2;c"],
  ["baggage", "weir.shadow = theirs"],
  ["baggage", ""],
  ["x-llm-d-inference-objective", "critical"],
  ["x-llm-d-inference-fairness-id", "me"],
  ["x-gateway-inference-objective", "critical"],
  ["x-gateway-inference-fairness-id", "me"],
  ["endpoint-load-metrics-format", "JSON"],
  ["x-forwarded-client-cert", "URI=spiffe://a/b"],
  ["x-request-id", "3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11"],
  ["x-request-id", "not an id"],
  ["accept-encoding", "br;q=0.5, zstd;q=0.7, gzip"],
  ["accept-encoding", "gzip"],
  ["cookie", "session=1"],
  ["content-type", "application/grpc"],
  ["content-type", "application/json"],
  ["x-long", "x".repeat(9000)],
];

/** Status and headers of what the pods answer. */
const answers: [status: number, headers: Headers][] = [
  [200, []],
  [200, [["endpoint-load-metrics", "TEXT named_metrics.num_requests_waiting=1, rps=3"]]],
  [200, [["Endpoint-Load-Metrics", 'JSON {"named_metrics":{"kv_cache_usage_perc":0.5}}']]],
  [
    200,
    [
      ["endpoint-load-metrics", "nothing known"],
      ["x-weir-variant", "kept"],
    ],
  ],
  [429, []],
  [503, [["endpoint-load-metrics", "TEXT cpu_utilization=0.5"]]],
  [429, [["retry-after", "7"]]],
  [
    503,
    [
      ["x-twice", "1"],
      ["x-twice", "2"],
    ],
  ],
  [
    500,
    [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ],
  ],
];

const trailers: Headers = [
  ["x-checksum", "1"],
  ["x-weir-tenant", "acme"],
  ["x-weir-tier", "gold"],
  ["grpc-status", "0"],
  ["x-traffic-tag", "mine"],
  ["x-shadow-mode", "true"],
  ["x-weir-variant", "stable"],
];

const hosts = ["chat.example.com", "chat.example.com", "CHAT.example.com:8080"];
const others = ["divert.example.com", "arrive.example.com", "else.example.com"];

/** Pods that say how many requests wait there; what it says last counts. */
export function fullCaseOf(name: string, tenant: string, waiting: number): Exchanged {
  const load = `TEXT named_metrics.num_requests_waiting=${waiting}`;
  return {
    name,
    protocol: "h1",
    method: "GET",
    path: "/v1/models",
    authority: "chat.example.com",
    headers: [["x-tenant-id", tenant]],
    body: { pieces: [] },
    answer: { status: 200, headers: [["endpoint-load-metrics", load]], pieces: [] },
  };
}

/** One case: chance says who asks, how, and what comes back. */
export function fullCase(name: string, random: () => number): Exchanged {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const some = <T>(list: readonly T[], max: number): T[] =>
    Array.from({ length: Math.floor(random() * max) }, () => pick(list));
  const bodyOf = (text: string): Body => ({
    pieces: [Buffer.from(text)],
    endsWithPiece: random() < 0.5,
    trailers: random() < 0.4 ? some(trailers, 6) : [],
  });
  // Node's HTTP/2 does not send these twice.
  const once = (all: Headers) =>
    all.filter(
      ([key], i) =>
        !/^(content-type|authorization)$/.test(key) ||
        all.findIndex(([other]) => other === key) === i,
    );
  const protocol = pick(["h1", "h2"] as const);
  const length: Headers = random() < 0.3 ? [["content-length", "19"]] : [];
  const method = pick(["GET", "POST", "DELETE"]);
  const body = bodyOf("nineteen bytes here");
  const [status, headers] = pick(answers);
  return {
    name,
    protocol,
    method,
    path: "/v1/models?x=1",
    authority: random() < 0.7 ? pick(hosts) : pick(others),
    headers: [
      ["te", "trailers"],
      ...(method === "GET" ? [] : length),
      ...pick(callers),
      ...once(some(claims, 12)),
    ],
    body: length.length > 0 ? { ...body, trailers: [] } : body,
    answer: { status, headers, ...bodyOf("what the pod says") },
  };
}
