import { describe, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import { configuredProxy, fullConfig, fullestConfig, requestHeaders } from "../module.ts";
import {
  ask,
  counted,
  events,
  finishes,
  json,
  reportOf,
  says,
  stream,
  tokenProxy,
  usage,
} from "../token-limit/token-streams.ts";

// Rows B1 to B21 of docs/bad-inputs.md, those that need no Envoy.

const tiny = { "x-tenant-id": "tiny" };
const question = Buffer.from('{"max_tokens":100}');
const left = (worker: Worker) =>
  Number(
    Object.fromEntries(ask(worker, tiny).responseHeaders(json))["x-ratelimit-remaining-tokens"],
  );
/** A request of a tenant with 600 tokens, whose answer may take 100. */
function begun(worker: Worker) {
  const exchange = ask(worker, tiny);
  exchange.requestBody(question, true);
  return exchange;
}
/** What was taken from the bucket of 600, which nothing fills meanwhile; to look takes 16. */
const spent = (worker: Worker) => 600 - 16 - left(worker);

it("B1 does not read an answer that is compressed: the estimate is charged, and counted as such", () => {
  const proxy = tokenProxy();
  const exchange = begun(proxy.worker);
  exchange.responseHeaders([...json, ["content-encoding", "gzip"]]);
  const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 0]);
  expect(exchange.responseBody(bytes, true)).toEqual(bytes);
  expect(counted(reportOf(proxy))).toMatchObject({ "usage unreadable": 1 });
});

it("B2 passes each event in the callback that brought it", () => {
  const { worker } = tokenProxy();
  const exchange = begun(worker);
  exchange.responseHeaders(events);
  for (let i = 0; i < 50; i++) {
    const event = Buffer.from(stream(says(`word ${i}`)));
    expect(exchange.responseBody(event, false)).toEqual(event);
  }
});

it.each(["204", "304", "200"])("B3 does nothing about an answer of %s without a body", (status) => {
  const proxy = tokenProxy();
  const exchange = begun(proxy.worker);
  const headers = exchange.responseHeaders(
    [
      [":status", status],
      ["vary", "accept"],
    ],
    true,
  );
  expect(headers.map(([key]) => key)).not.toContain("content-encoding");
  expect(valuesOf(headers, "vary")).toEqual(["accept"]);
  exchange.end();
  expect(counted(reportOf(proxy))).toMatchObject({ [`responses ${status[0]}xx`]: 1 });
});

it("B7 accounts once for a stream that ends with trailers, or with an end and trailers", () => {
  const proxy = tokenProxy();
  for (const ended of [true, false]) {
    const exchange = begun(proxy.worker);
    exchange.responseHeaders(events);
    exchange.responseBody(Buffer.from(stream(says("a"), "[DONE]")), ended);
    proxy.worker.trailers("response", []);
    exchange.end();
    exchange.end();
  }
  expect(counted(reportOf(proxy))).toMatchObject({ "streams done": 2, "responses 2xx": 2 });
});

it("B8 serves a request without Host or with TE as any other host's", () => {
  const { worker } = { worker: configuredProxy("weir", fullConfig()).workers[0] as Worker };
  const { reply, headers } = worker.request([
    [":method", "GET"],
    [":path", "/"],
    ["te", "trailers, deflate"],
    ["connection", "keep-alive"],
  ]);
  expect(reply).toBeUndefined();
  expect(valuesOf(headers, "te")).toEqual(["trailers, deflate"]);
});

it.each(["weir", "weir-full"])(
  "B9 steps aside for an upgrade in %s.wasm: nothing is compressed",
  (name) => {
    const worker = configuredProxy(name, fullConfig()).workers[0] as Worker;
    const headers = { "accept-encoding": "gzip", connection: "upgrade" };
    for (const upgrade of ["websocket", "h2c"]) {
      const after = worker.request(requestHeaders({ ...headers, upgrade })).headers;
      expect(valuesOf(after, "accept-encoding")).not.toContain("gzip");
      expect(valuesOf(after, "upgrade")).toEqual([upgrade]);
    }
  },
);

it.each<[string, number]>([
  ["application/grpc", 8],
  ["application/grpc+proto", 8],
  ["application/grpc-web", -1],
  ["application/connect+json", -1],
  ["application/json", -1],
])("B10 refuses %s in its own way", (type, grpcStatus) => {
  const worker = configuredProxy("weir", fullConfig()).workers[0] as Worker;
  const send = () => worker.request(requestHeaders({ "content-type": type })).reply;
  const reply = Array.from({ length: 12 }, send).at(-1);
  expect(reply).toMatchObject({ status: 429, grpcStatus });
});

/** A stream with this event beside two others; what it cost. */
const costOf = (...data: string[]) => {
  const { worker } = tokenProxy();
  const exchange = begun(worker);
  exchange.responseHeaders(events);
  exchange.responseBody(Buffer.from(stream(says("a"), ...data, finishes("stop"), "[DONE]")), true);
  return spent(worker);
};

it("B12 passes an event of 64 MiB without a line's end, holds none of it and still finds the usage behind it", () => {
  const { worker } = tokenProxy();
  const exchange = begun(worker);
  exchange.responseHeaders(events);
  const piece = Buffer.alloc(1 << 20, "x");
  exchange.responseBody(Buffer.from('data: {"choices":[{"delta":{"content":"'), false);
  const before = worker.memoryBytes();
  for (let i = 0; i < 64; i++) expect(exchange.responseBody(piece, false)).toHaveLength(1 << 20);
  expect(worker.memoryBytes() - before).toBeLessThanOrEqual(4 << 20);
  const rest = `"}}]}\n\n${stream(JSON.stringify({ choices: [], usage: usage(7, 5) }), "[DONE]")}`;
  exchange.responseBody(Buffer.from(rest), true);
  expect(spent(worker)).toBe(12);
});

it("B13 charges an estimate for a stream without usage, and says so", () => {
  const proxy = tokenProxy();
  const exchange = begun(proxy.worker);
  exchange.responseHeaders(events);
  exchange.responseBody(Buffer.from(stream(says("a"), says("b"), says("c"), "[DONE]")), true);
  expect(spent(proxy.worker)).toBe(3);
  expect(counted(reportOf(proxy))).toMatchObject({ "usage estimated": 1 });
});

it("B14 takes the last usage of several, and none that is null", () => {
  const told = (given: object | null) => JSON.stringify({ choices: [], usage: given });
  expect(costOf(told(null), told(usage(5, 1)), told(usage(5, 2)), told(usage(5, 3)))).toBe(8);
  expect(costOf(told(usage(5, 3)), told(null))).toBe(8);
});

describe("B15 usage that cannot be", () => {
  const told = (text: string) => `{"choices":[],"usage":${text}}`;
  // Two words, and nothing that is believed.
  const estimate = costOf();
  it.each([
    ["negative", told('{"prompt_tokens":-5,"completion_tokens":-7}')],
    ["a text", told('{"prompt_tokens":"five","completion_tokens":"0x70"}')],
    ["a list", told("[5,7]")],
    ["in what a model wrote", says('"usage":{"prompt_tokens":500,"completion_tokens":7}')],
    ["escaped in what a model wrote", says('\\"usage\\":{\\"prompt_tokens\\":500}')],
    ["deeper inside", '{"choices":[{"usage":{"prompt_tokens":500,"completion_tokens":7}}]}'],
    [
      "in a comment",
      'x"}\n\n: {"usage":{"prompt_tokens":500,"completion_tokens":7}}\n\ndata: {"a":"',
    ],
  ])("changes nothing: %s", (_name, event) => {
    const cost = costOf(event);
    expect(cost).toBeGreaterThanOrEqual(estimate);
    // At most what the longer text is worth.
    expect(cost).toBeLessThanOrEqual(estimate + 30);
  });
  it("takes more than there can be for as much as can be owed", () => {
    const { shared, worker } = tokenProxy();
    const exchange = begun(worker);
    exchange.responseHeaders(events);
    exchange.responseBody(
      Buffer.from(stream(told('{"prompt_tokens":1e99,"completion_tokens":1}'))),
      true,
    );
    // A minute of debt at the most: after two minutes nothing is left of it.
    shared.nowNs += 120_000_000_000n;
    expect(spent(worker)).toBe(0);
  });
});

describe("B16 a client that leaves", () => {
  it("pays for what it saw, and the rest of its reservation comes back", () => {
    const { worker } = tokenProxy();
    const exchange = begun(worker);
    exchange.responseHeaders(events);
    exchange.responseBody(Buffer.from(stream(says("a"), says("b"))), false);
    exchange.end("downstream_remote_disconnect");
    expect(spent(worker)).toBe(2);
  });
  it("leaves no place in flight behind", () => {
    const worker = configuredProxy("weir-full", fullestConfig()).workers[0] as Worker;
    for (let i = 0; i < 1000; i++) {
      const { reply, ...stream } = worker.open(requestHeaders({ "x-tenant-id": "acme" }), {
        body: true,
      });
      if (i % 100 === 0) worker.answerCall(1, undefined);
      stream.end();
      expect(reply?.body ?? "").not.toContain("concurrency_limited");
    }
  });
});

it.each([
  ["429", "7"],
  ["503", "30"],
  ["500", ""],
  ["429", ""],
])(
  "B18 passes a pod's own %s with Retry-After %j as it is, and adds one where a refusal lacks it",
  (status, retry) => {
    const config = fullestConfig();
    const worker = configuredProxy("weir-full", config).workers[0] as Worker;
    const open = worker.open(requestHeaders({ "x-tenant-id": "acme" }));
    const answer: [string, string][] = [
      [":status", status],
      ["x-own", "1"],
    ];
    if (retry) answer.push(["retry-after", retry]);
    const { headers } = open.answer(answer);
    expect(headers.slice(0, answer.length)).toEqual(answer);
    const told = valuesOf(headers, "retry-after");
    expect(told).toHaveLength(retry || status !== "500" ? 1 : 0);
    if (told[0]) expect(Number(told[0])).toBeGreaterThanOrEqual(1);
  },
);

describe("B19 a request in pieces", () => {
  it("of one byte is decided once", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, tiny);
    const text = Buffer.from('{"stream":true,"max_tokens":5000}');
    const sent = [...text].map((byte, i) =>
      exchange.requestBody(Buffer.from([byte]), i === text.length - 1),
    );
    expect(JSON.parse(Buffer.concat(sent).toString())).toMatchObject({ stream: true });
    exchange.end();
    expect(counted(reportOf(proxy))).toMatchObject({
      "token_limit admitted": 1,
      "token_limit clamped": 1,
    });
  });
  it("that is answered before it came whole is settled once", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, tiny);
    exchange.requestBody(question.subarray(0, 9), false);
    exchange.responseHeaders([[":status", "413"]], true);
    exchange.requestBody(question.subarray(9), true);
    exchange.end();
    expect(spent(proxy.worker)).toBeLessThan(40);
    expect(counted(reportOf(proxy))).toMatchObject({ "responses 4xx": 1 });
  });
});

it("B20 keeps nothing of 10,000 streams that are reset before or after their headers", () => {
  for (const [name, streams] of [
    ["weir", 1000],
    ["weir-full", 10_000],
    ["token-limit", 1000],
  ] as const) {
    const proxy =
      name === "token-limit" ? tokenProxy() : configuredProxy(name, fullestConfigOf(name));
    const worker = proxy.workers[0] as Worker;
    const some = () => {
      worker.remove(1_000_000);
      worker.open(requestHeaders({ "x-tenant-id": "acme" }), { body: true }).end();
    };
    for (let i = 0; i < 1000; i++) some();
    const before = worker.memoryBytes();
    for (let i = 0; i < streams; i++) some();
    expect(worker.memoryBytes()).toBe(before);
  }
});
const fullestConfigOf = (name: string) => (name === "weir" ? fullConfig() : fullestConfig());

it("B21 holds as much of a slow client's hour, a byte a second, as of its first minute", () => {
  const { shared, worker } = tokenProxy();
  const exchange = begun(worker);
  exchange.responseHeaders(events);
  const text = Buffer.from(stream(says("word")));
  const send = (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      shared.nowNs += 1_000_000_000n;
      exchange.responseBody(text.subarray(i % text.length, (i % text.length) + 1), false);
    }
  };
  send(60);
  const before = worker.memoryBytes();
  send(3600);
  expect(worker.memoryBytes()).toBe(before);
});
