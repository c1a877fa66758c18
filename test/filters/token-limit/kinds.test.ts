import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import { type Headers, valuesOf } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import {
  ask,
  counted,
  events,
  json,
  lines,
  reportOf,
  stream,
  tokenProxy,
  valuesIn,
} from "./token-streams.ts";

// One table for each kind of mistake, over the APIs, orders and spellings that it may come in.

const chat = "/v1/chat/completions";

function sent(path: string, body: string, tenant = "tiny") {
  const exchange = ask(tokenProxy().worker, { "x-tenant-id": tenant, ":path": path });
  const text = exchange.requestBody(Buffer.from(body), true).toString();
  return { text, reply: exchange.reply() };
}

describe("what is empty is no token, and the one behind it is the first", () => {
  const delta = (value: object) =>
    stream(`{"choices":[{"index":0,"delta":${JSON.stringify(value)}}]}`);
  it.each<[name: string, path: string, headers: Headers, empty: string, full: string]>([
    ["content", chat, events, delta({ role: "assistant", content: "" }), delta({ content: "a" })],
    ["null", chat, events, delta({ content: null, refusal: null }), delta({ content: "a" })],
    [
      "no calls",
      chat,
      events,
      delta({ tool_calls: [], content: "" }),
      delta({ tool_calls: [{ function: { arguments: "{" } }] }),
    ],
    [
      "no reasoning",
      chat,
      events,
      delta({ reasoning_content: "" }),
      delta({ reasoning_content: "a" }),
    ],
    ["nothing at all", chat, events, delta({}), delta({ content: "a" })],
    ["no choice", chat, events, stream('{"choices":[]}'), delta({ content: "a" })],
    [
      "text",
      "/v1/completions",
      events,
      stream('{"choices":[{"index":0,"text":""}]}'),
      stream('{"choices":[{"index":0,"text":"a"}]}'),
    ],
    [
      "a part",
      "/v1/responses",
      events,
      stream('{"type":"response.output_text.delta","delta":""}'),
      stream('{"type":"response.output_text.delta","delta":"a"}'),
    ],
    [
      "an item",
      "/v1/responses",
      events,
      stream('{"type":"response.output_item.added","item":{"type":"message","content":[]}}'),
      stream('{"type":"response.output_text.delta","delta":"a"}'),
    ],
    [
      "a block",
      "/v1/messages",
      events,
      stream('{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
      stream('{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}'),
    ],
    [
      "a ping",
      "/v1/messages",
      events,
      stream('{"type":"ping"}'),
      stream('{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}'),
    ],
    [
      "a line",
      "/api/chat",
      lines,
      '{"message":{"role":"assistant","content":""},"done":false}\n',
      '{"message":{"content":"a"},"done":false}\n',
    ],
    [
      "a line of text",
      "/api/generate",
      lines,
      '{"response":"","done":false}\n',
      '{"response":"a","done":false}\n',
    ],
    [
      "llama.cpp's text",
      "/completion",
      events,
      stream('{"content":"","stop":false}'),
      stream('{"content":"a","stop":false}'),
    ],
  ])("%s (%s)", (_name, path, headers, empty, full) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { ":path": path });
    exchange.responseHeaders(headers);
    for (let i = 0; i < 3; i++) {
      proxy.shared.nowNs += 1_000_000n;
      exchange.responseBody(Buffer.from(empty), false);
    }
    proxy.shared.nowNs += 600_000_000n;
    exchange.responseBody(Buffer.from(full), false);
    exchange.end();
    const report = reportOf(proxy);
    const first = valuesIn(report, "time_to_first_token_ms");
    expect(first).toHaveLength(1);
    expect(first[0]).toBeGreaterThan(580);
    expect(counted(report)["tokens completion"]).toBe(1);
  });
});

describe("no name stands twice in what a pod gets", () => {
  const options = [
    '"stream_options":null',
    '"stream_options":{}',
    '"stream_options":{"include_usage":null}',
    '"stream_options":{"include_usage":false}',
    '"stream_options":{"x":1}',
  ];
  const rest = ['"stream":true', '"max_tokens":null', '"messages":[]'];
  /** Every order of some members. */
  const orders = (all: string[]): string[][] =>
    all.length < 2
      ? [all]
      : all.flatMap((each, i) => orders(all.toSpliced(i, 1)).map((more) => [each, ...more]));
  const twice = (text: string) => {
    const names = [...text.matchAll(/"(\w+)":/g)].map(([, name]) => name);
    return names.filter((name, i) => names.indexOf(name) !== i);
  };
  it.each(options)("with %s in every place", (option) => {
    for (const members of orders([option, ...rest])) {
      const { text, reply } = sent(chat, `{${members.join()}}`);
      expect(reply).toBeUndefined();
      expect(twice(text), text).toEqual([]);
      JSON.parse(text);
    }
  });
  it.each([
    [chat, '"messages":[]', "max_tokens"],
    [chat, '"messages":[]', "max_completion_tokens"],
    ["/v1/completions", '"prompt":"a"', "max_tokens"],
    ["/v1/responses", '"input":"a"', "max_output_tokens"],
    ["/v1/messages", '"messages":[]', "max_tokens"],
    ["/completion", '"prompt":"a"', "n_predict"],
  ])("%s: {%s} with %s null, too large, or absent", (path, body, name) => {
    for (const value of [undefined, "null", "90000", '"90000"', "-1"])
      for (const order of [0, 1]) {
        const members = [body, ...(value ? [`"${name}":${value}`] : [])];
        const { text, reply } = sent(path, `{${(order ? members.reverse() : members).join()}}`);
        expect(reply).toBeUndefined();
        expect(twice(text), text).toEqual([]);
      }
  });
  it.each([null, {}, { num_predict: null }, { num_predict: 90_000 }, { seed: 1 }])(
    "Ollama's options %j",
    (given) => {
      for (const members of orders([
        `"options":${JSON.stringify(given)}`,
        '"messages":[]',
        '"stream":true',
      ]))
        expect(twice(sent("/api/chat", `{${members.join()}}`).text)).toEqual([]);
    },
  );
});

describe("a maximum that may not be lowered so far is refused with 429", () => {
  it.each([
    [chat, '{"min_tokens":1000,"max_tokens":1600}'],
    [chat, '{"max_tokens":1600,"min_tokens":1000}'],
    [chat, '{"max_completion_tokens":1600,"messages":[],"min_tokens":"1000"}'],
    ["/v1/completions", '{"max_tokens":1600,"prompt":"a","min_tokens":1000}'],
    ["/v1/messages", '{"max_tokens":"1600","thinking":{"type":"enabled","budget_tokens":"1000"}}'],
    ["/v1/messages", '{"thinking":{"budget_tokens":1e3,"type":"enabled"},"max_tokens":1600}'],
  ])("%s %s", (path, body) => {
    expect(sent(path, body).reply?.status).toBe(429);
    expect(sent(path, body, "acme").reply).toBeUndefined();
  });
});

describe("how many answers are asked for counts wherever it stands", () => {
  it.each(
    ["n", "best_of", "n_cmpl"].flatMap((name) =>
      ["100", '"100"', "1e2", "100.0"].map((value) => [name, value] as const),
    ),
  )('"%s": %s', (name, value) => {
    for (const path of [chat, "/v1/completions"]) {
      const prompt = path === chat ? '"messages":[]' : '"prompt":"a"';
      const before = sent(path, `{"${name}":${value},${prompt},"max_tokens":500}`);
      // Before the maximum it is lowered to what each answer can have, behind it it is too late.
      const maximum = JSON.parse(before.text).max_tokens;
      expect(maximum).toBeGreaterThan(0);
      expect(maximum * 100).toBeLessThanOrEqual(600);
      expect(sent(path, `{"max_tokens":500,${prompt},"${name}":${value}}`).reply?.status).toBe(429);
    }
  });
});

describe("what Python's reader takes and JSON does not have hides no maximum", () => {
  it.each(["NaN", "Infinity", "-Infinity", "[NaN,-Infinity]", '{"a":NaN}'])("%s", (value) => {
    for (const body of [
      `{"x":${value},"max_tokens":90000,"messages":[]}`,
      `{"max_tokens":90000,"x": ${value} ,"messages":[]}`,
    ]) {
      const { text } = sent(chat, body);
      const maximum = Number(/"max_tokens": *(\d+)/.exec(text)?.[1]);
      expect(maximum).toBeGreaterThan(0);
      expect(maximum).toBeLessThanOrEqual(600);
      expect(text).toContain(value);
    }
  });
  it.each(["0x10", "1_000", "'5'", "nan", "inf", "undefined", "01", "+5", ".5"])(
    "nor does %s, which none of them takes: it is refused",
    (value) => {
      const { reply, text } = sent(chat, `{"max_tokens":${value},"messages":[]}`);
      if (reply) expect(reply.status).toBe(400);
      else expect(JSON.parse(text.replace("01", "1")).max_tokens).toBeLessThanOrEqual(600);
    },
  );
});

describe("calls that run no model are not limited by tokens", () => {
  it.each(["/tokenize", "/detokenize", "/v1/messages/count_tokens", "/apply-template", "/render"])(
    "%s",
    (path) => {
      const { worker } = tokenProxy();
      const body = JSON.stringify({ prompt: "word ".repeat(7000) });
      for (let i = 0; i < 3; i++) {
        const exchange = ask(worker, { "x-tenant-id": "tiny", ":path": path });
        expect(exchange.requestBody(Buffer.from(body), true).toString()).toBe(body);
        expect(exchange.reply()).toBeUndefined();
        expect(exchange.responseHeaders(json)).toEqual(json);
        exchange.end();
      }
    },
  );
});

describe("of an event that was asked for only what was asked for goes", () => {
  const last = (more: string) =>
    `{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}${more}}`;
  it.each([
    ["timings", ',"timings":{"predicted_ms":5}'],
    ["metrics of a server", ',"nvext":{"worker_id":3}'],
    ["metadata", ',"metadata":{"weight_version":"a"}'],
    ["two", ',"timings":{"a":1},"x":[1,{"usage":2}]'],
  ])("%s beside usage stay", (_name, more) => {
    const whole = stream(last(more), "[DONE]");
    for (let cut = 1; cut < whole.length; cut += 3) {
      const exchange = ask(tokenProxy().worker, { "x-tenant-id": "acme" });
      exchange.requestBody(Buffer.from('{"stream":true,"messages":[]}'), true);
      exchange.responseHeaders(events);
      const got = Buffer.concat([
        exchange.responseBody(Buffer.from(whole.slice(0, cut)), false),
        exchange.responseBody(Buffer.from(whole.slice(cut)), true),
      ]).toString();
      const [first = "", end] = got.trim().split("\n\n");
      expect(JSON.parse(first.slice(6)), `cut at ${cut}`).toEqual(
        JSON.parse(`{"id":"c","choices":[]${more}}`),
      );
      expect(end).toBe("data: [DONE]");
    }
  });
});

describe("the pod is asked not to compress what usage is read in", () => {
  const asked = (path: string, tenant: string, encodings: string) => {
    const headers = { "x-tenant-id": tenant, ":path": path, "accept-encoding": encodings };
    return ask(tokenProxy().worker, headers).requestHeaders.map(([name]) => name);
  };
  it.each(
    ["/v1/embeddings", "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]
      .concat(["/v1/rerank", "/api/chat", "/api/embed", "/v1/anything/else"])
      .flatMap((path) => ["tiny", "acme"].map((tenant) => [path, tenant] as const)),
  )("on %s of %s", (path, tenant) => {
    for (const encodings of ["gzip", "br, gzip;q=0.5", "zstd", "*", "identity"])
      expect(asked(path, tenant, encodings)).not.toContain("accept-encoding");
  });
});

describe("several answers of which llama.cpp tells what one took", () => {
  const left = (worker: Worker) => {
    const exchange = ask(worker, { "x-tenant-id": "acme", ":path": "/v1/embeddings" });
    const [told] = valuesOf(exchange.responseHeaders(json, true), "x-ratelimit-remaining-tokens");
    exchange.end();
    return Number(told);
  };
  /** What a request cost whose answer was this, and what was counted of it. */
  function cost(path: string, asked: object, headers: Headers, answer: string) {
    const proxy = tokenProxy();
    const before = left(proxy.worker);
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme", ":path": path });
    exchange.requestBody(Buffer.from(JSON.stringify(asked)), true);
    exchange.responseHeaders(headers);
    exchange.responseBody(Buffer.from(answer), true);
    exchange.end();
    return { cost: before - left(proxy.worker), counted: counted(reportOf(proxy)) };
  }
  const text = "x".repeat(200);
  const choices = (count: number) => Array.from({ length: count }, (_, index) => ({ index, text }));
  const one = { usage: { prompt_tokens: 2, completion_tokens: 50, total_tokens: 52 } };
  const timings = { timings: { predicted_n: 50 } };
  const prompts = (count: number) => Array.from({ length: count }, () => "hello");
  const completions = "/v1/completions";

  it.each([
    ["18 prompts", { prompt: prompts(18), max_tokens: 50 }, 18],
    ["n of 4", { prompt: "hello", max_tokens: 50, n: 4 }, 4],
    ["3 prompts and n of 2", { n: 2, prompt: prompts(3), max_tokens: 50 }, 6],
  ])("are all paid for, of a JSON answer to %s", (_name, asked, count) => {
    const answer = JSON.stringify({ choices: choices(count), ...one, ...timings });
    const found = cost(completions, asked, json, answer);
    expect(found.counted["tokens completion"]).toBe(50 * count);
    expect(found.cost).toBeGreaterThanOrEqual(50 * count);
    expect(found.cost).toBeLessThan(50 * count + 60);
  });

  it("are paid by their text where the one that is told of was short", () => {
    const short = { usage: { prompt_tokens: 2, completion_tokens: 1 }, ...timings };
    const answer = JSON.stringify({ choices: choices(4), ...short });
    const asked = { prompt: "hello", max_tokens: 50, n: 4 };
    expect(cost(completions, asked, json, answer).cost).toBeGreaterThanOrEqual(200);
  });

  it("are a token for each event at the least, of a stream", () => {
    const asked = { prompt: prompts(3), max_tokens: 50, stream: true };
    const piece = (index: number) => JSON.stringify({ choices: [{ index, text: "a" }] });
    const events150 = Array.from({ length: 150 }, (_, i) => piece(i % 3));
    const last = JSON.stringify({
      choices: [{ index: 2, text: "", finish_reason: "length" }],
      ...one,
    });
    const found = cost(completions, asked, events, stream(...events150, last, "[DONE]"));
    expect(found.counted["tokens completion"]).toBe(150);
  });

  it("are what is told of them all by a server that does so", () => {
    const all = { usage: { prompt_tokens: 36, completion_tokens: 100, total_tokens: 136 } };
    const asked = { prompt: prompts(18), max_tokens: 50 };
    const found = cost(completions, asked, json, JSON.stringify({ choices: choices(18), ...all }));
    expect(found.counted["tokens completion"]).toBe(100);
    expect(found.cost).toBe(136);
  });

  it("one answer is what is told of it", () => {
    const asked = { prompt: "hello", max_tokens: 50 };
    const answer = JSON.stringify({ choices: choices(1), ...one, ...timings });
    expect(cost(completions, asked, json, answer).cost).toBe(52);
  });
});
