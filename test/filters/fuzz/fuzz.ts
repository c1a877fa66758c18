import { describe, expect, it } from "vitest";
import type { Headers } from "../../host/header-map.ts";
import { createSharedState, type SharedState } from "../../host/proxy.ts";
import { startWorker, type Worker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { refused } from "../document/refused-configs.ts";
import { compiled, fullConfig, fullestConfig, selectConfig } from "../module.ts";
import { chunk, says, stream, tokenConfig, usage } from "../token-limit/token-streams.ts";

// Any callback, in any order, with any bytes, from a host that fails at random:
// nothing may end the VM, and it must work afterwards as if nothing had been.

/** What all modules have to survive together; half of it falls to weir.wasm. */
const inCi = 10_000_000;
const ofDevelopers = 200_000;
const total = process.env.CI || process.env.WEIR_LONG ? inCi : ofDevelopers;
const seeds = 4;
const timeoutMs = 1_200_000;

const names = [
  ":authority",
  ":method",
  ":path",
  ":status",
  "x-tenant-id",
  "x-user-id",
  "authorization",
  "x-api-key",
  "accept-encoding",
  "x-variant",
  "x-weir-variant",
  "x-weir-tenant",
  "x-shadow-mode",
  "x-traffic-tag",
  "x-request-id",
  "x-team",
  "content-type",
  "content-length",
  "cookie",
  "range",
  "upgrade",
  "endpoint-load-metrics",
];
const values = [
  "chat.example.com",
  "a.wild.example.com:443",
  "acme",
  "internal",
  "sha256:7fdb",
  "Bearer x",
  "gzip;q=0.5,br",
  "zstd;q=,*;q=0.001;x",
  "true",
  "search",
  "",
  ",,,",
  "a,a",
  "\xff\xfe\x00",
  "application/grpc",
  "text/event-stream",
  "429",
  "x".repeat(300),
];
const loads = [
  "TEXT named_metrics.kv_cache_usage_perc=0.2, named_metrics.num_requests_waiting=50",
  'JSON {"named_metrics":{"queue_depth":1e308},"utilization":{"gpu":0.99}}',
  "TEXT queue_depth=-1,=,,utilization.gpu=",
  '{"{{::==1e999',
];
const answers = [
  "{}",
  '{"leases":[{"route":"inference/chat","tenant":"acme","intervalNs":"20000000"}]}',
  '{"leases":[{"route":"inference/chat","intervalNs":"999999999999999999"},{}]}',
  '{"leases":[{"tenant":1}',
  '[[[{"leases":',
  "",
];
/** What a host call may answer but OK. */
const failures = [1, 2, 3, 4, 6, 7, 8, 10, 12, 255];

/** A source of arbitrary input, the same for the same seed. */
function createInput(seed: number, name: string) {
  const random = generator(seed);
  const below = (max: number) => Math.floor(random() * max);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const bytes = (max: number) =>
    Array.from({ length: below(max) }, () => String.fromCharCode(below(256))).join("");
  const headers = (): Headers =>
    Array.from({ length: below(random() < 0.01 ? 300 : 15) }, (): [string, string] => [
      random() < 0.9 ? pick(names) : bytes(40),
      random() < 0.8 ? pick(values) : bytes(40),
    ]);
  /** Made once and drawn again and again: making them costs more than sending them. */
  const drawn = Array.from({ length: 5000 }, headers);
  const good = JSON.stringify(configOf(name));
  const configs = [
    ...Array.from({ length: 200 }, () => cut(good, below)),
    ...refused.map(([, config]) => config.slice(0, 5000)),
    ...Array.from({ length: 100 }, () => good),
    ...Array.from({ length: 50 }, () => bytes(200)),
  ];
  return {
    random,
    below,
    pick,
    good,
    headers: () => pick(drawn),
    config: () => pick(configs),
    /** Arguments are ids, counts and sizes: mostly small, at times anything. */
    argument: () => (random() < 0.8 ? below(20) : random() < 0.5 ? below(70_000) : below(2 ** 32)),
  };
}
type Input = ReturnType<typeof createInput>;

/** A configuration that asks for all that the module does. */
function configOf(name: string): object {
  if (name === "weir-full") return fullestConfig();
  if (name === "route-select") return selectConfig();
  if (name !== "token-limit") return fullConfig();
  return tokenConfig((policy) => {
    policy.shadow = { header: "x-shadow-mode", maxTokens: 64 };
    policy.overrun = "finish";
    Object.assign(policy.tiers.bronze, { requestsPerSecond: 1, burst: 3 });
  });
}

/** Bodies, whole and in pieces, of requests and of answers. */
const pieces = [
  '{"stream":true,"max_tokens":5000,"messages":[{"role":"user","content":"hello"}]}',
  '{"stream":true,"stream_options":{"include_usage":false},',
  '"max_completion_tokens":1e6,"n":3}',
  '{"input":"\\u00e9","max_output_tokens":null',
  stream(says("a"), says("b")),
  stream(chunk(undefined, usage(5, 7)), "[DONE]"),
  JSON.stringify({ choices: [], usage: usage(1e9, -1) }),
  '{"model":"tiny","x":"',
  '"model":"t2"}',
  '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntiny\r\n--b--\r\n',
  "data: ",
  "\r\n\r\n",
  "[".repeat(70),
  "\xff\x00",
].map((text) => Buffer.from(text, "latin1"));
const types = ["text/event-stream", "application/json", "text/plain"];
const asked = ["application/json", "multipart/form-data; boundary=b", "text/plain"];

/** A completion whose body and answer come in pieces, in any order and at times never. */
function converse(worker: Worker, { random, pick, below, headers }: Input): void {
  const stream = worker.exchange([
    [":method", "POST"],
    [":path", pick(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/x"])],
    [":authority", "chat.example.com"],
    ["content-type", pick(asked)],
    ...(random() < 0.5 ? headers() : []),
  ]);
  for (let i = below(6); i > 0; i--) {
    const last = i === 1 && random() < 0.7;
    if (random() < 0.4) stream.requestBody(pick(pieces), last);
    else if (random() < 0.5)
      stream.responseHeaders(
        [
          [":status", pick(["200", "500", ""])],
          ["content-type", pick(types)],
        ],
        last,
      );
    else stream.responseBody(pick(pieces), last);
  }
  if (random() < 0.95) stream.end(pick([undefined, "upstream_reset", "downstream"]));
}

/** One step: a callback with what belongs to it, or any export with any arguments. */
function step(worker: Worker, shared: SharedState, input: Input, exports: readonly string[]): void {
  const { random, below, pick } = input;
  if (random() < 0.1) shared.nowNs += BigInt(below(3e9)) - 1_000_000_000n;
  const dice = random();
  if (dice < 0.2) (exports.includes("proxy_on_request_body") ? converse : exchange)(worker, input);
  else if (dice < 0.22)
    worker.answerCall(1 + below(5), { status: pick([200, 401, 0]), body: pick(answers) });
  else if (dice < 0.7) worker.request(input.headers(), { plugin: pick(["a", "b"]) });
  else if (dice < 0.8) worker.trailers(pick(["request", "response"]), input.headers());
  else if (dice < 0.81) worker.configure(1 + below(5), input.config(), pick(["a", "b"]));
  else if (dice < 0.82) worker.remove(1 + below(5));
  else if (dice < 0.84) worker.tick(1 + below(5));
  else {
    const name = pick(exports);
    worker.raw(name, ...Array.from({ length: 6 }, input.argument));
  }
  if (shared.log.length > 1000) shared.log.length = 0;
  if (shared.httpCalls.length > 1000) shared.httpCalls.length = 0;
}

/** A stream with its answer, which ends at once or only when the next ones have begun. */
function exchange(worker: Worker, { random, pick, headers }: Input): void {
  const stream = worker.open(headers(), { plugin: pick(["a", "b"]) });
  if (random() < 0.9)
    stream.answer([
      [":status", pick(["200", "429", "503", ""])],
      ["endpoint-load-metrics", random() < 0.8 ? pick(loads) : pick(values)],
      ...headers(),
    ]);
  if (random() < 0.95) stream.end();
}

/** Runs one seed to its number of callbacks; what goes wrong is told with the step that did it. */
function run(name: string, seed: number, callbacks: number): number {
  const input = createInput(seed, name);
  const shared = createSharedState();
  const worker = startWorker(compiled(name), shared);
  const exports = worker.exports.filter((each) => each.startsWith("proxy_on"));
  worker.setFault((call) =>
    call !== "proxy_log" && input.random() < 0.05 ? input.pick(failures) : undefined,
  );
  for (let i = 0; worker.callbacks() < callbacks; i++) {
    try {
      step(worker, shared, input, exports);
    } catch (error) {
      throw new Error(`${name}.wasm, seed ${seed}, step ${i}: ${error}`, { cause: error });
    }
  }
  worker.setFault(undefined);
  expect(worker.configure(9, input.good), `seed ${seed}: works afterwards`).toBe(true);
  const { calls } = worker.request([
    [":authority", "chat.example.com"],
    ["x-tenant-id", "acme"],
    ["accept-encoding", "gzip"],
  ]);
  expect(calls.length).toBeGreaterThan(0);
  expect(worker.memoryBytes(), `seed ${seed}: memory`).toBeLessThan(64 << 20);
  return worker.callbacks();
}

/** A text with a few of its bytes changed. */
function cut(text: string, below: (max: number) => number): string {
  const at = below(text.length);
  return text.slice(0, at) + String.fromCharCode(32 + below(90)) + text.slice(at + below(3));
}

/** Defines the tests of modules that share a part of all callbacks between them. */
export function fuzz(modules: readonly string[], part: number): void {
  const perSeed = Math.ceil((total * part) / modules.length / seeds);
  describe.each(modules)("%s.wasm", (name) => {
    it.each(Array.from({ length: seeds }, (_, i) => name.length * 7919 + i))(
      `survives ${perSeed} callbacks of any kind, order and content, with a host that fails at random (seed %i)`,
      (seed) => {
        expect(run(name, seed, perSeed)).toBeGreaterThanOrEqual(perSeed);
      },
      timeoutMs,
    );
  });
}
