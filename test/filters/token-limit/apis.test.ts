import { Buffer } from "node:buffer";
import { describe, expect, it } from "vitest";
import type { Headers } from "../../host/header-map.ts";
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

// One table for each API: what its streams and answers say of tokens, how they end, and
// what is put into its requests.

/** What is counted of an answer, and the tokens that came before it was over. */
function answered(path: string, headers: Headers, body: string) {
  const proxy = tokenProxy();
  const exchange = ask(proxy.worker, { ":path": path });
  proxy.shared.nowNs += 100_000_000n;
  exchange.responseHeaders(headers);
  for (const piece of body.split(/(?<=\n)/)) {
    proxy.shared.nowNs += 100_000_000n;
    exchange.responseBody(Buffer.from(piece), false);
  }
  exchange.responseBody(Buffer.alloc(0), true);
  exchange.end();
  const report = reportOf(proxy);
  const {
    "responses 2xx": _,
    "usage estimated": __,
    "usage reported": ___,
    ...counts
  } = counted(report);
  return { counts, firstTokens: valuesIn(report, "time_to_first_token_ms").length };
}

const delta = (value: object) => `{"choices":[{"index":0,"delta":${JSON.stringify(value)}}]}`;
const finish = (reason: string) =>
  `{"choices":[{"index":0,"delta":{},"finish_reason":"${reason}"}]}`;
const usage =
  '{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":1}}}';
const anthropic = (type: string, rest = "") => `{"type":"${type}"${rest}}`;

describe.each<
  [
    api: string,
    path: string,
    rows: [name: string, headers: Headers, body: string, wanted: object, firstTokens: number][],
  ]
>([
  [
    "chat completions",
    "/v1/chat/completions",
    [
      [
        "ends well",
        events,
        stream(delta({ content: "a" }), finish("stop"), usage, "[DONE]"),
        {
          "streams done": 1,
          "finishes stop": 1,
          "tokens prompt": 3,
          "tokens completion": 2,
          "token_details cached": 1,
          "token_details reasoning": 1,
        },
        1,
      ],
      [
        "ends short",
        events,
        stream(delta({ content: "a" }), finish("length"), "[DONE]"),
        { "streams done": 1, "finishes length": 1, "tokens prompt": 0, "tokens completion": 1 },
        1,
      ],
      [
        "ends in an error within a success",
        events,
        stream(delta({ role: "assistant" }), '{"error":{"message":"no","code":500}}', "[DONE]"),
        { "streams done": 1, "failed_answers error": 1 },
        0,
      ],
      [
        "is an error within a success",
        json,
        '{"error":{"message":"no"}}',
        { "failed_answers error": 1 },
        0,
      ],
      [
        "has no token in what is empty",
        events,
        stream(
          delta({ role: "assistant", content: "", tool_calls: [], reasoning: null, x: {} }),
          "[DONE]",
        ),
        { "streams done": 1 },
        0,
      ],
      [
        "has tokens in calls of tools",
        events,
        stream(
          delta({ tool_calls: [{ index: 0, function: { arguments: "{" } }] }),
          finish("tool_calls"),
          "[DONE]",
        ),
        { "finishes tool_calls": 1, "streams done": 1 },
        1,
      ],
      [
        "counts the choices of a whole answer",
        json,
        '{"choices":[{"finish_reason":"stop","message":{"content":"a"}},{"finish_reason":"stop","message":{}},{"finish_reason":"length","message":{}},{"finish_reason":"content_filter","message":{}}],"usage":{"prompt_tokens":"1","completion_tokens":4.0}}',
        {
          "finishes stop": 2,
          "finishes length": 1,
          "finishes content_filter": 1,
          "tokens completion": 4,
        },
        0,
      ],
    ],
  ],
  [
    "completions",
    "/v1/completions",
    [
      [
        "ends well",
        events,
        stream(
          '{"choices":[{"index":0,"text":"a"}]}',
          '{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}',
          "[DONE]",
        ),
        { "finishes stop": 1, "streams done": 1 },
        1,
      ],
      [
        "breaks off",
        events,
        stream('{"choices":[{"index":0,"text":"a"}]}'),
        { "streams cut": 1 },
        1,
      ],
    ],
  ],
  [
    "responses",
    "/v1/responses",
    [
      [
        "ends well",
        events,
        stream(
          '{"type":"response.created","response":{"id":"r","status":"in_progress","error":null}}',
          '{"type":"response.output_text.delta","delta":"a"}',
          '{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":5,"output_tokens":1,"input_tokens_details":{"cached_tokens":4}}}}',
        ),
        {
          "streams done": 1,
          "finishes stop": 1,
          "tokens prompt": 5,
          "tokens completion": 1,
          "token_details cached": 4,
        },
        1,
      ],
      [
        "ends short",
        events,
        stream(
          '{"type":"response.output_text.delta","delta":"a"}',
          '{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}',
        ),
        { "streams done": 1, "finishes length": 1 },
        1,
      ],
      [
        "ends for what it would say",
        events,
        stream(
          '{"type":"response.incomplete","response":{"incomplete_details":{"reason":"content_filter"},"status":"incomplete"}}',
        ),
        { "streams done": 1, "finishes content_filter": 1 },
        0,
      ],
      [
        "ends in an error",
        events,
        stream(
          '{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}',
        ),
        { "streams done": 1, "failed_answers error": 1 },
        0,
      ],
      [
        "is whole and short",
        json,
        '{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"error":null,"usage":{"input_tokens":1,"output_tokens":2}}',
        { "finishes length": 1, "tokens completion": 2 },
        0,
      ],
    ],
  ],
  [
    "messages",
    "/v1/messages",
    [
      [
        "ends well",
        events,
        stream(
          anthropic(
            "message_start",
            ',"message":{"role":"assistant","content":[],"usage":{"input_tokens":7,"cache_read_input_tokens":20,"cache_creation_input_tokens":4,"output_tokens":1}}',
          ),
          anthropic("content_block_start", ',"index":0,"content_block":{"type":"text","text":""}'),
          anthropic("content_block_delta", ',"index":0,"delta":{"type":"text_delta","text":"a"}'),
          anthropic("content_block_stop", ',"index":0'),
          anthropic(
            "message_delta",
            ',"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}',
          ),
          anthropic("message_stop"),
        ),
        {
          "streams done": 1,
          "finishes stop": 1,
          "tokens prompt": 31,
          "tokens completion": 9,
          "token_details cached": 20,
          "token_details written": 4,
        },
        1,
      ],
      [
        "ends short, whole",
        json,
        '{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":2}}',
        { "finishes length": 1 },
        0,
      ],
      [
        "ends in an error",
        events,
        stream(anthropic("error", ',"error":{"type":"overloaded_error","message":"no"}')),
        { "failed_answers error": 1, "streams done": 1 },
        0,
      ],
      [
        "calls a tool",
        json,
        '{"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}',
        { "finishes tool_calls": 1 },
        0,
      ],
    ],
  ],
  [
    "embeddings and ranks",
    "/v1/embeddings",
    [
      ["tell tokens in all", json, '{"usage":{"total_tokens":5000}}', { "tokens prompt": 5000 }, 0],
      [
        "tell both",
        json,
        '{"usage":{"prompt_tokens":8,"total_tokens":8}}',
        { "tokens prompt": 8 },
        0,
      ],
    ],
  ],
  [
    "sound",
    "/v1/audio/transcriptions",
    [
      [
        "by tokens",
        json,
        '{"text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":3,"total_tokens":17}}',
        { "tokens prompt": 14, "tokens completion": 3 },
        0,
      ],
      [
        "by its length",
        json,
        '{"text":"a","usage":{"type":"duration","seconds":2.5}}',
        { "tokens prompt": 30 },
        0,
      ],
    ],
  ],
  [
    "Ollama's chat",
    "/api/chat",
    [
      [
        "ends well",
        lines,
        '{"message":{"role":"assistant","content":"a"},"done":false}\n{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":4,"eval_count":2}\n',
        { "streams done": 1, "finishes stop": 1, "tokens prompt": 4, "tokens completion": 2 },
        1,
      ],
      [
        "ends in an error",
        lines,
        '{"message":{"content":"a"},"done":false}\n{"error":"no"}\n',
        { "failed_answers error": 1 },
        1,
      ],
      ["breaks off", lines, '{"message":{"content":"a"},"done":false}\n', { "streams cut": 1 }, 1],
      [
        "is whole",
        json,
        '{"message":{"content":"a"},"done":true,"done_reason":"length","prompt_eval_count":4,"eval_count":2}',
        { "finishes length": 1, "tokens completion": 2 },
        0,
      ],
    ],
  ],
  [
    "llama.cpp's completion",
    "/completion",
    [
      [
        "ends short",
        events,
        stream(
          '{"content":"a","stop":false}',
          '{"content":"","stop":true,"stop_type":"limit","tokens_evaluated":3,"tokens_predicted":2}',
        ),
        { "streams done": 1, "finishes length": 1, "tokens prompt": 3, "tokens completion": 2 },
        1,
      ],
    ],
  ],
])("%s", (_api, path, rows) => {
  it.each(rows)("%s", (_name, headers, body, wanted, firstTokens) => {
    const seen = answered(path, headers, body);
    expect({ "tokens prompt": 0, ...seen.counts }).toMatchObject(wanted);
    expect(seen.firstTokens).toBe(firstTokens);
    if (!("failed_answers error" in wanted))
      expect(seen.counts).not.toHaveProperty("failed_answers error");
  });
});

describe("an error that an answer tells", () => {
  const told = '{"error":{"message":"no","code":501}}';
  const failures = (status: string, headers: Headers, body: string) => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker);
    exchange.responseHeaders([[":status", status], ...headers.slice(1)]);
    exchange.responseBody(Buffer.from(body), true);
    exchange.end();
    return reportOf(proxy)
      .counters.filter(({ name }) => name === "failed_answers")
      .map(({ tier, tenant, value }) => [tier, tenant, Number(value)])
      .sort();
  };

  it.each([
    ["400", json, told],
    ["500", json, told],
    ["501", json, told],
    ["503", events, stream(told)],
  ])("is a failure of its own within a success alone, not within a %s", (status, headers, body) => {
    expect(failures(status, headers, body)).toEqual([]);
    expect(failures("200", headers, body)).not.toEqual([]);
  });

  it("counts once more for a tenant that the configuration names", () => {
    expect(failures("200", events, stream(told))).toEqual([
      ["", "open", 1],
      ["free", "", 1],
    ]);
  });
});

describe("what is put into a request", () => {
  it.each<[path: string, body: string, sent: object]>([
    ["/v1/chat/completions", '{"messages":[]}', { messages: [], max_tokens: 256 }],
    [
      "/v1/chat/completions",
      '{"messages":[],"max_completion_tokens":null}',
      { messages: [], max_completion_tokens: null, max_tokens: 256 },
    ],
    [
      "/v1/chat/completions",
      '{"messages":[],"n_predict":-1}',
      { messages: [], n_predict: 256, max_tokens: 256 },
    ],
    ["/v1/completions", '{"prompt":"a","max_tokens":null}', { prompt: "a", max_tokens: 256 }],
    ["/v1/completions", '{"prompt":"a","max_tokens":"12"}', { prompt: "a", max_tokens: 12 }],
    ["/v1/responses", '{"input":"a"}', { input: "a", max_output_tokens: 256 }],
    ["/v1/messages", '{"messages":[],"max_tokens":0}', { messages: [], max_tokens: 1 }],
    ["/api/chat", '{"messages":[]}', { messages: [], options: { num_predict: 256 } }],
    [
      "/api/chat",
      '{"options":{"seed":1},"messages":[]}',
      { options: { seed: 1, num_predict: 256 }, messages: [] },
    ],
    [
      "/api/generate",
      '{"options":null,"prompt":"a"}',
      { options: { num_predict: 256 }, prompt: "a" },
    ],
    ["/completion", '{"prompt":"a"}', { prompt: "a", n_predict: 256 }],
    ["/invocations", '{"messages":[]}', { messages: [], max_tokens: 256 }],
    ["/invocations", '{"input":"a"}', { input: "a" }],
    ["/v1/embeddings", '{"input":["a"]}', { input: ["a"] }],
    [
      "/generate",
      '{"text":"a","sampling_params":{"max_new_tokens":90000}}',
      { text: "a", sampling_params: { max_new_tokens: 584 } },
    ],
    [
      "/v1/chat/completions",
      '{"stream_options":null,"stream":true,"messages":[],"max_tokens":4}',
      { stream_options: null, stream: true, messages: [], max_tokens: 4 },
    ],
    [
      "/v1/chat/completions",
      '{"stream":true,"stream_options":null,"messages":[],"max_tokens":4}',
      { stream: true, stream_options: { include_usage: true }, messages: [], max_tokens: 4 },
    ],
  ])("%s %s", (path, text, sent) => {
    const body = Buffer.from(text);
    for (let cut = 0; cut < body.length; cut++)
      for (const sized of [true, false]) {
        const exchange = ask(tokenProxy().worker, {
          "x-tenant-id": "tiny",
          ":path": path,
          ...(sized ? { "content-length": String(body.length) } : {}),
        });
        const pieces = [
          exchange.requestBody(body.subarray(0, cut), false),
          exchange.requestBody(body.subarray(cut), true),
        ];
        const whole = Buffer.concat(pieces);
        const arrived = JSON.parse(whole.toString());
        if (path !== "/generate") expect(arrived).toEqual(sent);
        else expect(arrived.sampling_params.max_new_tokens).toBeLessThanOrEqual(600);
        const [, length] =
          exchange.requestHeaders.find(([name]) => name === "content-length") ?? [];
        if (sized) expect(whole.length).toBe(Number(length));
      }
  });

  it("is never above the route's maxTokens", () => {
    const { worker } = tokenProxy((policy) => {
      policy.maxTokens = 100;
    });
    for (const given of ["", ',"max_tokens":5000']) {
      const exchange = ask(worker, { "x-tenant-id": "acme" });
      const sent = exchange.requestBody(Buffer.from(`{"messages":[]${given}}`), true);
      expect(JSON.parse(sent.toString())).toEqual({ messages: [], max_tokens: 100 });
    }
  });
});

describe("a maximum that may not be lowered", () => {
  it.each([
    [
      "thinking behind it",
      '{"max_tokens":16000,"thinking":{"type":"enabled","budget_tokens":10000}}',
    ],
    ["thinking before it", '{"thinking":{"budget_tokens":1000},"max_tokens":1600}'],
    ["thinking of just as many", '{"thinking":{"budget_tokens":600},"max_tokens":1600}'],
  ])("for %s is refused", (_name, body) => {
    const exchange = ask(tokenProxy().worker, { "x-tenant-id": "tiny", ":path": "/v1/messages" });
    exchange.requestBody(Buffer.from(body), true);
    expect(exchange.reply()?.status).toBe(429);
    expect(JSON.parse(exchange.reply()?.body ?? "")).toMatchObject({
      type: "error",
      error: { type: "rate_limit_error" },
    });
  });

  it("is let on where it can be paid", () => {
    const exchange = ask(tokenProxy().worker, { "x-tenant-id": "acme", ":path": "/v1/messages" });
    const body = '{"max_tokens":16000,"thinking":{"type":"enabled","budget_tokens":10000}}';
    expect(exchange.requestBody(Buffer.from(body), true).toString()).toBe(body);
  });
});
