import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

// Budgets and APIs through a real Envoy: what reaches the pods, what is charged, and how
// refusals and early ends read to the clients of each API.

/** What the pod answers next, and the bodies that reached it whole. */
let answer: { type?: string; body: string | Iterable<string> } = { body: "{}" };
let whole: string[] = [];
let pod: Server;
let gateway: Gateway;
let client: GatewayClient;
let tenants = 0;

beforeAll(async () => {
  pod = createServer((req, res) => {
    const pieces: Buffer[] = [];
    req.on("error", () => {});
    req.on("data", (piece: Buffer) => pieces.push(piece));
    req.on("end", () => {
      whole.push(Buffer.concat(pieces).toString());
      res.writeHead(200, answer.type ? { "content-type": answer.type } : {});
      for (const piece of [answer.body].flat()) res.write(piece);
      res.end();
    });
  });
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
  gateway = await startGateway();
  const names = Array.from({ length: 60 }, (_, i) => `t${i}`);
  await gateway.apply(
    edgeRoute(`127.0.0.1:${(pod.address() as AddressInfo).port}`, {
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { small: { requestsPerSecond: 1000, tokensPerMinute: 600 } },
        tenants: Object.fromEntries(names.map((name) => [name, "small"])),
        default: "small",
      },
      tokens: { measure: true, expected: 200, overrun: "finish", cachedPercent: 10 },
    }),
  );
  client = gatewayClient(gateway.url);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await new Promise((resolve) => pod.close(resolve));
});

/** A tenant of its own for each test: no other has taken its tokens. */
const someone = () => ({ "x-tenant-id": `t${tenants++}`, "content-type": "application/json" });
const send = (path: string, headers: Record<string, string>, body: string) => {
  whole = [];
  return client.send("POST", path, headers, body);
};
const chat = "/v1/chat/completions";
const usage = (prompt: number, completion: number) =>
  `"usage":{"prompt_tokens":${prompt},"completion_tokens":${completion}}`;
const events = "text/event-stream";
/** Tokens that the tenant has left. */
async function leftOf(tenant: Record<string, string>): Promise<number> {
  answer = { type: "application/json", body: `{${usage(0, 0)}}` };
  const { headers } = await send("/v1/embeddings", tenant, '{"input":""}');
  return Number(headers["x-ratelimit-remaining-tokens"]) + 16;
}

describe("a body that hides what it costs", () => {
  it.each([
    [
      "identity as its encoding",
      { "content-encoding": "Identity" },
      '{"max_tokens":90000,"messages":[]}',
    ],
    ["NaN before its maximum", {}, '{"top_p": -Infinity, "max_tokens":90000,"messages":[]}'],
    ["a maximum in quotes", {}, '{"messages":[],"max_completion_tokens":"90000"}'],
    ["a maximum with an exponent", {}, '{"messages":[],"max_tokens":9e4}'],
    ["a byte order mark", {}, '\ufeff{"messages":[],"max_tokens":90000}'],
    [
      "its path in escapes",
      { path: "/v1/%63hat/completion%73" },
      '{"messages":[],"max_tokens":90000}',
    ],
    ["no maximum", {}, '{"messages":[{"role":"user","content":"hi"}]}'],
    ["a maximum that is null", {}, '{"max_tokens":null,"messages":[]}'],
    ["a maximum below zero", {}, '{"max_tokens":-1,"messages":[]}'],
  ] as [string, Record<string, string>, string][])(
    "%s is lowered all the same",
    async (_name, { path = chat, ...more }, body) => {
      answer = { type: "application/json", body: `{"choices":[],${usage(1, 1)}}` };
      const { status } = await send(path, { ...someone(), ...more }, body);
      expect(status).toBe(200);
      const arrived = JSON.parse((whole[0] ?? "").replace("\ufeff", "").replace("-Infinity", "0"));
      const maximum = arrived.max_tokens ?? arrived.max_completion_tokens;
      expect(maximum).toBeGreaterThan(100);
      expect(maximum).toBeLessThanOrEqual(600);
    },
  );

  it.each([
    ["gzip", { "content-encoding": "gzip" }, "{}", 415, "encoding_unreadable", undefined],
    [
      "UTF-16",
      {},
      Buffer.from('{"max_tokens":9}', "utf16le").toString("latin1"),
      400,
      "body_malformed",
      undefined,
    ],
    [
      "a maximum twice",
      {},
      '{"max_tokens":9,"messages":[],"max_tokens":90000}',
      400,
      "field_repeated",
      undefined,
    ],
    [
      "words for a maximum",
      {},
      '{"max_tokens":"many","messages":[]}',
      400,
      "field_unreadable",
      "max_tokens",
    ],
    [
      "a maximum in capitals",
      {},
      '{"MAX_TOKENS":90000,"messages":[]}',
      400,
      "field_unreadable",
      "max_tokens",
    ],
    [
      "too many choices behind",
      {},
      `{"max_tokens":500,"messages":["${"x ".repeat(200)}"],"n":100}`,
      429,
      "tokens_limited",
      undefined,
    ],
    [
      "too many prompts behind",
      {},
      '{"max_tokens":500,"prompt":["a","b"]}',
      429,
      "tokens_limited",
      undefined,
    ],
  ] as [string, Record<string, string>, string, number, string, string | undefined][])(
    "%s is refused before a pod has it whole",
    async (_name, headers, body, wanted, code, field) => {
      const path = body.includes("prompt") ? "/v1/completions" : chat;
      const { status, body: told } = await send(path, { ...someone(), ...headers }, body);
      expect(status).toBe(wanted);
      const problem = JSON.parse(told.toString());
      expect(problem).toMatchObject({
        status: wanted,
        code,
        error: { code, message: problem.detail },
      });
      if (field) expect(problem.detail).toContain(field);
      expect(problem.request_id).toBeTruthy();
      expect(whole).toEqual([]);
    },
  );

  it("is refused in the midst, though half of it is with a pod", async () => {
    whole = [];
    const { hostname, port } = new URL(gateway.url);
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { host: "chat.example.com", ...someone(), "transfer-encoding": "chunked" };
      const req = request({ hostname, port, path: chat, method: "POST", headers }, (res) => {
        res.resume();
        resolve(res.statusCode ?? 0);
      });
      req.on("error", reject);
      req.write('{"max_tokens":400,"messages":["');
      const timer = setInterval(() => req.write("word ".repeat(10)), 5);
      setTimeout(() => {
        clearInterval(timer);
        req.end('"],"n":7}');
      }, 100);
    });
    expect(status).toBe(429);
    // The next request over the same proxy is none the worse for it.
    answer = { type: "application/json", body: `{${usage(1, 1)}}` };
    expect((await send(chat, someone(), '{"max_tokens":4,"messages":[]}')).status).toBe(200);
    expect(whole).toHaveLength(1);
  });
});

describe("what is charged", () => {
  it.each([
    [
      "a rank that tells tokens in all",
      "/v2/rerank",
      '{"documents":["a"]}',
      { type: "application/json", body: '{"usage":{"total_tokens":300}}' },
      300,
    ],
    [
      "input that came from a cache at a tenth",
      "/v1/messages",
      '{"max_tokens":9,"messages":[]}',
      {
        type: "application/json",
        body: '{"usage":{"input_tokens":7,"cache_read_input_tokens":200,"cache_creation_input_tokens":100,"output_tokens":10}}',
      },
      137,
    ],
    [
      "nothing for counting tokens",
      "/tokenize",
      `{"prompt":"${"word ".repeat(4000)}"}`,
      { type: "application/json", body: "{}" },
      0,
    ],
    [
      "sound by its length",
      "/v1/audio/transcriptions",
      "--x\r\n\r\nRIFF\r\n--x--",
      { type: "application/json", body: '{"text":"a","usage":{"type":"duration","seconds":4}}' },
      40,
    ],
    [
      "what nobody knows by its text and its answer",
      "/v1/dream",
      `{"about":"${"word ".repeat(80)}"}`,
      { type: "application/json", body: JSON.stringify("word ".repeat(40)) },
      152,
    ],
    [
      "lines of JSON",
      "/api/chat",
      '{"options":{"num_predict":50},"messages":[]}',
      {
        type: "application/x-ndjson",
        body: '{"message":{"content":"a"},"done":false}\n{"done":true,"done_reason":"stop","prompt_eval_count":20,"eval_count":30}\n',
      },
      50,
    ],
  ] as [string, string, string, typeof answer, number][])(
    "is %s",
    async (_name, path, body, told, cost) => {
      const tenant = someone();
      answer = told;
      const form = path.includes("audio")
        ? { "content-type": "multipart/form-data; boundary=x" }
        : {};
      const before = Date.now();
      expect((await send(path, { ...tenant, ...form }, body)).status).toBe(200);
      // The bucket fills by ten tokens a second meanwhile.
      const left = await leftOf(tenant);
      expect(left).toBeGreaterThanOrEqual(600 - cost);
      expect(left).toBeLessThanOrEqual(Math.min(600, 600 - cost + 2 + (Date.now() - before) / 90));
    },
  );

  it("is usage of a stream without a type, of which only what was asked for goes", async () => {
    const tenant = someone();
    const chunk = (rest: string) => `data: {"id":"c","choices":[${rest}]`;
    answer = {
      body: `${chunk('{"delta":{"content":"a"}}')}}\n\n${chunk("")},${usage(100, 200)},"timings":{"predicted_ms":5}}\n\ndata: [DONE]\n\n`,
    };
    const { body } = await send(
      chat,
      tenant,
      '{"stream":true,"stream_options":null,"messages":[]}',
    );
    expect(body.toString()).toContain('{"id":"c","choices":[],"timings":{"predicted_ms":5}}');
    expect(body.toString()).not.toContain("usage");
    expect(JSON.parse(whole[0] ?? "")).toMatchObject({ stream_options: { include_usage: true } });
    expect((whole[0] ?? "").split("stream_options")).toHaveLength(2);
    expect(await leftOf(tenant)).toBeLessThan(320);
  });
});

describe("an early end", () => {
  const many = <T>(count: number, each: (i: number) => T) =>
    Array.from({ length: count }, (_, i) => each(i));

  it("of messages is Anthropic's", async () => {
    const sse = (type: string, rest: string) =>
      `event: ${type}\ndata: {"type":"${type}",${rest}}\n\n`;
    answer = {
      type: events,
      body: [
        sse("content_block_start", '"index":3,"content_block":{"type":"text","text":""}'),
        ...many(700, () =>
          sse("content_block_delta", '"index":3,"delta":{"type":"text_delta","text":"w"}'),
        ),
      ],
    };
    const { body } = await send(
      "/v1/messages",
      someone(),
      '{"stream":true,"max_tokens":9000,"messages":[]}',
    );
    const told = body.toString().trimEnd().split("\n\n").slice(-3);
    expect(told.map((each) => each.split("\n")[0])).toEqual([
      "event: content_block_stop",
      "event: message_delta",
      "event: message_stop",
    ]);
    expect(told[0]).toContain('"index":3');
    expect(told[1]).toContain('"stop_reason":"max_tokens"');
  });

  it("of responses is an incomplete response with its id", async () => {
    answer = {
      type: events,
      body: [
        'data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_7","object":"response","status":"in_progress"}}\n\n',
        ...many(
          700,
          (i) =>
            `data: {"type":"response.output_text.delta","sequence_number":${i + 1},"delta":"w"}\n\n`,
        ),
      ],
    };
    const { body } = await send("/v1/responses", someone(), '{"stream":true,"input":"hi"}');
    const last = JSON.parse(body.toString().trimEnd().split("data: ").at(-1) ?? "");
    expect(last).toMatchObject({
      type: "response.incomplete",
      response: {
        id: "resp_7",
        status: "incomplete",
        incomplete_details: { reason: "max_output_tokens" },
      },
    });
    expect(last.sequence_number).toBeGreaterThan(500);
  });

  it("of Ollama's is a line that is done", async () => {
    answer = {
      type: "application/x-ndjson",
      body: many(
        700,
        () => '{"model":"m","message":{"role":"assistant","content":"w"},"done":false}\n',
      ),
    };
    const { body } = await send("/api/chat", someone(), '{"messages":[]}');
    const last = JSON.parse(body.toString().trimEnd().split("\n").at(-1) ?? "");
    expect(last).toMatchObject({ model: "m", done: true, done_reason: "length" });
  });
});

it("answers Anthropic's clients and Ollama's in their own words", async () => {
  const tenant = someone();
  answer = { type: "application/json", body: `{${usage(0, 4000)}}` };
  await send(chat, tenant, '{"max_tokens":9,"messages":[]}');
  const refused = await send("/v1/messages", tenant, '{"max_tokens":9,"messages":[]}');
  expect(refused.status).toBe(429);
  expect(refused.headers["content-type"]).toBe("application/json");
  expect(JSON.parse(refused.body.toString())).toMatchObject({
    type: "error",
    error: {
      type: "rate_limit_error",
      message: expect.stringContaining("token limit of tier small"),
    },
  });
  const other = await send("/api/generate", tenant, '{"prompt":"a"}');
  expect(JSON.parse(other.body.toString()).error).toContain("token limit of tier small");
  // Counting tokens runs no model, so that it needs none.
  expect((await send("/v1/messages/count_tokens", tenant, "{}")).status).toBe(200);
});
