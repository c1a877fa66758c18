import { describe, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import type { Exchange, Worker } from "../../host/worker.ts";
import { requestHeaders } from "../module.ts";
import {
  ask,
  chunk,
  counted,
  events,
  finishes,
  json,
  reportOf,
  says,
  stream,
  tokenProxy,
  usage,
} from "./token-streams.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");
const gold = { "x-tenant-id": "acme" };
const bronze = { "x-tenant-id": "tiny" };

/** A request with a body, sent in one piece. */
function post(worker: Worker, tenant: Record<string, string>, body: object | string): Exchange {
  const text = bytes(typeof body === "string" ? body : JSON.stringify(body));
  const exchange = ask(worker, { ...tenant, "content-length": String(text.length) });
  if (exchange.reply() === undefined) exchange.requestBody(text, true);
  return exchange;
}

/** Tokens a tenant has left: told by an answer that costs nothing. */
function leftOf(worker: Worker, tenant: Record<string, string>): number {
  const exchange = ask(worker, tenant);
  const refused = exchange.reply()?.headers ?? [];
  const headers = exchange.reply() ? refused : exchange.responseHeaders([[":status", "500"]], true);
  exchange.end();
  const [left] = valuesOf(headers, "x-ratelimit-remaining-tokens");
  // The question itself reserved its least.
  return Number(left) + (exchange.reply() ? 0 : 16);
}

function answer(exchange: Exchange, prompt: number, completion: number): void {
  exchange.responseHeaders(json);
  exchange.responseBody(
    bytes(JSON.stringify({ choices: [], usage: usage(prompt, completion) })),
    true,
  );
  exchange.end();
}

describe("a token limit", () => {
  it("reserves prompt and max_tokens before, and settles by usage after", () => {
    const { worker } = tokenProxy();
    expect(leftOf(worker, gold)).toBe(60_000);
    const exchange = post(worker, gold, {
      max_tokens: 5000,
      messages: [{ role: "user", content: "x".repeat(400) }],
    });
    expect(leftOf(worker, gold)).toBe(60_000 - 5000 - 101);
    answer(exchange, 90, 1234);
    expect(leftOf(worker, gold)).toBe(60_000 - 1324);
  });

  it("reserves what is usual for a request without a maximum, once per choice", () => {
    const { worker } = tokenProxy();
    const exchange = post(worker, gold, { n: 3, messages: [{ content: "abcd" }] });
    expect(leftOf(worker, gold)).toBe(60_000 - 3 * 256 - 1);
    answer(exchange, 1, 30);
    expect(leftOf(worker, gold)).toBe(60_000 - 31);
  });

  it("counts images and files as no text, but for a token for each KiB", () => {
    const { worker } = tokenProxy();
    const image = {
      type: "image_url",
      image_url: { url: `data:image/png;base64,${"A".repeat(30_000)}` },
    };
    post(worker, gold, {
      max_tokens: 100,
      messages: [{ content: [image, { text: "what is it" }] }],
    });
    const left = leftOf(worker, gold);
    expect(left).toBeGreaterThan(60_000 - 100 - 10 - 30);
    expect(left).toBeLessThanOrEqual(60_000 - 100 - 29);
  });

  it.each<[string, (exchange: Exchange) => void, number]>([
    [
      "nothing for a failure of the pod",
      (e) => void e.responseHeaders([[":status", "503"]], true),
      0,
    ],
    [
      "nothing for a refusal of the pod",
      (e) => void e.responseHeaders([[":status", "429"]], true),
      0,
    ],
    ["the prompt where the client leaves before the answer", () => {}, 25],
    [
      "what was seen where the client leaves in the middle",
      (e) => {
        e.responseHeaders(events);
        e.responseBody(bytes(stream(says("a"), says("b"), says("c"))), false);
      },
      25 + 3,
    ],
    [
      "an estimate where usage never comes",
      (e) => {
        e.responseHeaders(events);
        e.responseBody(bytes(stream(says("a".repeat(40)), "[DONE]")), true);
      },
      25 + 10,
    ],
    [
      "all that was reserved for an answer that is compressed although nobody asked",
      (e) => {
        e.responseHeaders([...json, ["content-encoding", "gzip"]]);
        e.responseBody(Buffer.from([31, 139]), true);
      },
      525,
    ],
    [
      "more than was reserved, into debt",
      (e) => {
        e.responseHeaders(json);
        e.responseBody(bytes(JSON.stringify({ usage: usage(100, 59_900 + 6000) })), true);
      },
      60_000,
    ],
  ])("charges %s", (_name, act, cost) => {
    const { shared, worker } = tokenProxy();
    const exchange = post(worker, gold, {
      max_tokens: 500,
      messages: [{ content: "x".repeat(100) }],
    });
    act(exchange);
    exchange.end();
    expect(leftOf(worker, gold)).toBe(60_000 - cost);
    if (cost < 60_000) return;
    // 6,000 tokens of debt at 1,000 a second.
    shared.nowNs += 5_900_000_000n;
    expect(leftOf(worker, gold)).toBe(0);
    shared.nowNs += 1_100_000_000n;
    expect(leftOf(worker, gold)).toBe(1000);
  });

  it("keeps to the rate over a minute, whatever the workers", () => {
    const { shared, workers } = tokenProxy(undefined, 4);
    let admitted = 0;
    for (let second = 0; second < 120; second++) {
      for (let i = 0; i < 40; i++) {
        const exchange = post(workers[i % 4] as Worker, bronze, {
          max_tokens: 20,
          messages: [{ content: "x".repeat(40) }],
        });
        if (exchange.reply() === undefined) {
          answer(exchange, 10, 20);
          admitted += 30;
        }
      }
      shared.nowNs += 1_000_000_000n;
    }
    // Two minutes' worth and the bucket, less what is too little for a request.
    expect(admitted).toBeLessThanOrEqual(600 * 3);
    expect(admitted).toBeGreaterThan(600 * 3 * 0.96);
  });

  it("is one bucket for all strangers, and none for a tier without a limit", () => {
    const { worker } = tokenProxy();
    post(worker, { "x-tenant-id": "who" }, { max_tokens: 500, messages: [] });
    expect(leftOf(worker, { "x-tenant-id": "else" })).toBe(100);
    const open = post(worker, { "x-tenant-id": "open" }, { max_tokens: 10 ** 9, messages: [] });
    expect(open.reply()).toBeUndefined();
    expect(open.responseHeaders(json)).toEqual(json);
  });

  it("limits for itself when shared data fails", () => {
    const { worker } = tokenProxy();
    worker.setFault((call) => (call.includes("shared_data") ? 10 : undefined));
    post(worker, bronze, { max_tokens: 590, messages: [] });
    expect(post(worker, bronze, { messages: [] }).reply()?.status).toBe(429);
  });

  it.each([
    ["an hour back", -3_600_000_000_000n],
    ["a year ahead", 31_536_000_000_000_000n],
  ])("locks no one out and gives one bucket at most when the clock jumps %s", (_name, jump) => {
    const { shared, worker } = tokenProxy();
    post(worker, bronze, { max_tokens: 600, messages: [] });
    shared.nowNs += jump;
    expect(leftOf(worker, bronze)).toBe(600);
    post(worker, bronze, { max_tokens: 600, messages: [] });
    expect(leftOf(worker, bronze)).toBeLessThan(17);
  });
});

describe("a refusal", () => {
  it("is honest: 429, what is left, and when to come back", () => {
    const { shared, worker } = tokenProxy();
    answer(post(worker, bronze, { max_tokens: 600, messages: [] }), 0, 590);
    const refused = post(worker, bronze, { max_tokens: 10, messages: [] });
    const reply = refused.reply();
    expect(reply?.status).toBe(429);
    const headers = Object.fromEntries(reply?.headers ?? []);
    expect(headers).toMatchObject({
      "content-type": "application/problem+json",
      "ratelimit-policy": '"tokens";q=600;w=60;weir-unit="tokens"',
      "x-ratelimit-limit-tokens": "600",
      "x-ratelimit-remaining-tokens": "10",
      "x-ratelimit-reset-tokens": "59s",
    });
    // 26 or so tokens are wanted, 10 are there, ten come each second.
    expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(2);
    expect(Number(headers["retry-after"])).toBeLessThanOrEqual(3);
    expect(headers.ratelimit).toBe(`"tokens";r=10;t=${headers["retry-after"]}`);
    expect(JSON.parse(reply?.body ?? "")).toMatchObject({
      status: 429,
      code: "tokens_limited",
      "violated-policies": ["tokens"],
      request_id: "3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
    });
    shared.nowNs += BigInt(headers["retry-after"] ?? "0") * 1_000_000_000n;
    expect(post(worker, bronze, { max_tokens: 10, messages: [] }).reply()).toBeUndefined();
  });

  it("tells a tier that has no tokens at all not to come back", () => {
    const { worker } = tokenProxy((policy) => {
      policy.tiers.bronze.tokensPerMinute = "0";
    });
    const headers = Object.fromEntries(post(worker, bronze, {}).reply()?.headers ?? []);
    expect(headers).toMatchObject({ "x-should-retry": "false", "retry-after": "60" });
  });

  it("does not touch what calls no model", () => {
    const { worker } = tokenProxy();
    post(worker, bronze, { max_tokens: 600, messages: [] });
    const list = ask(worker, { ...bronze, ":method": "GET", ":path": "/v1/models" });
    expect(list.reply()).toBeUndefined();
  });

  it("is counted, as is who was admitted", () => {
    const proxy = tokenProxy();
    post(proxy.worker, bronze, { max_tokens: 600, messages: [] });
    post(proxy.worker, bronze, { max_tokens: 600, messages: [] });
    expect(counted(reportOf(proxy))).toMatchObject({
      "token_limit admitted": 1,
      "token_limit refused": 1,
    });
  });
});

describe("a stream beyond its limit", () => {
  const tokens = (count: number) => stream(...Array.from({ length: count }, () => says("x")));
  const overrun = (policy: any) => {
    policy.overrun = "finish";
  };
  /** A pod that ignores max_tokens, for a tenant with 600 tokens. */
  function run(edit: (policy: any) => void, request: object) {
    const proxy = tokenProxy(edit);
    const exchange = post(proxy.worker, bronze, { stream: true, messages: [], ...request });
    exchange.responseHeaders(events);
    const sent = Array.from({ length: 100 }, (_, i) =>
      exchange.responseBody(bytes(tokens(10)), i === 99).toString(),
    );
    exchange.end();
    return { proxy, text: sent.join(""), sent };
  }
  const data = (text: string) =>
    text
      .trimEnd()
      .split("\n\n")
      .map((each) => each.slice(6));

  it("ends with finish_reason length and [DONE] where the route asks", () => {
    const { proxy, text, sent } = run(overrun, {});
    const told = data(text);
    expect(told).toHaveLength(601 + 2);
    expect(JSON.parse(told.at(-2) ?? "")).toEqual(JSON.parse(finishes("length")));
    expect(told.at(-1)).toBe("[DONE]");
    expect(sent.slice(61).join("")).toBe("");
    expect(counted(reportOf(proxy))).toMatchObject({
      "streams done": 1,
      "finishes length": 1,
      "token_limit overrun": 1,
      "token_limit finished": 1,
      "tokens completion": 601,
    });
  });

  it("tells usage where the client asked for it", () => {
    const { text } = run(overrun, { stream_options: { include_usage: true } });
    const told = data(text);
    const last = told.slice(-3).map((each) => (each === "[DONE]" ? each : JSON.parse(each)));
    expect(last[0]).toMatchObject({ choices: [{ finish_reason: "length" }], usage: null });
    expect(last[1]).toMatchObject({ id: "chatcmpl-1", choices: [], usage: usage(0, 601) });
    expect(last[2]).toBe("[DONE]");
  });

  it("goes on and is charged where the route does not ask", () => {
    const { proxy, text } = run(() => {}, {});
    expect(data(text)).toHaveLength(1000);
    expect(counted(reportOf(proxy))).toMatchObject({
      "token_limit overrun": 1,
      "tokens completion": 1000,
    });
    expect(leftOf(proxy.worker, bronze)).toBe(0);
  });

  it("is none where the pod keeps to what it was allowed", () => {
    const proxy = tokenProxy(overrun);
    const exchange = post(proxy.worker, bronze, { stream: true, max_tokens: 5, messages: [] });
    exchange.responseHeaders(events);
    const whole = stream(
      ...Array.from({ length: 5 }, () => says("x")),
      finishes("length"),
      "[DONE]",
    );
    expect(exchange.responseBody(bytes(whole), true).toString()).toBe(whole);
    expect(counted(reportOf(proxy))).not.toHaveProperty("token_limit overrun");
  });

  it("of completions ends in their own form", () => {
    const proxy = tokenProxy(overrun);
    const text = (extra: object) =>
      JSON.stringify({
        id: "cmpl-1",
        object: "text_completion",
        choices: [{ index: 0, ...extra }],
      });
    const exchange = post(
      proxy.worker,
      { ...bronze, ":path": "/v1/completions" },
      { stream: true, prompt: "x" },
    );
    exchange.responseHeaders(events);
    const sent = Array.from({ length: 700 }, () =>
      exchange.responseBody(bytes(stream(text({ text: "x", finish_reason: null }))), false),
    );
    const told = data(Buffer.concat(sent).toString());
    expect(told.at(-2)).toBe(text({ text: "", finish_reason: "length" }));
  });
});

it("leaves linear memory as it was, over 20,000 streams that end in every way", () => {
  const proxy = tokenProxy();
  const { worker, shared } = proxy;
  const whole = bytes(stream(says("x"), finishes("stop"), chunk(undefined, usage(1, 1)), "[DONE]"));
  const some = (i: number) => {
    const exchange = post(
      worker,
      { "x-tenant-id": i % 3 ? "acme" : `s${i}` },
      { stream: true, messages: [] },
    );
    if (exchange.reply() !== undefined || i % 7 === 0) return exchange.end();
    exchange.responseHeaders(events);
    exchange.responseBody(whole.subarray(0, i % whole.length), i % 5 === 0);
    exchange.end();
    shared.nowNs += 100_000_000n;
  };
  for (let i = 0; i < 1000; i++) some(i);
  const before = worker.memoryBytes();
  for (let i = 0; i < 20_000; i++) some(i);
  expect(worker.memoryBytes()).toBe(before);
});

it("knows a tenant by its certificate", () => {
  const spiffe = "spiffe://cluster.local/ns/search/sa/ranker";
  const { worker } = tokenProxy((policy) => {
    policy.identity = [{ san: "connection" }, { header: "x-tenant-id" }];
    policy.tenants[`san:${spiffe}`] = "gold";
  });
  const limitOf = (headers: Record<string, string>, properties: Record<string, string>) => {
    const exchange = worker.exchange(requestHeaders(headers), true, properties);
    return Object.fromEntries(exchange.responseHeaders(json))["x-ratelimit-limit-tokens"];
  };
  expect(limitOf({}, { "connection.uri_san_peer_certificate": spiffe })).toBe("60000");
  expect(limitOf({}, { "connection.uri_san_peer_certificate": "spiffe://other" })).toBe("600");
  expect(limitOf({ "x-tenant-id": `san:${spiffe}` }, {})).toBe("600");
});
