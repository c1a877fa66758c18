import { Buffer } from "node:buffer";
import type { Headers } from "../../host/header-map.ts";
import type { Body, Exchanged } from "./play.ts";

// What clients ask of a model and what pods answer, as it is sent; where it is
// cut is up to chance, which is the same for each run.

/** Paths and bodies of requests. */
const questions: [path: string, body: string][] = [
  ["chat/completions", '{"stream":true,"messages":[{"content":"hello"}]}'],
  ["chat/completions", '{"stream":true,"max_tokens":20,"messages":[{"content":"hi there"}]}'],
  ["chat/completions", '{"stream":true,"max_tokens":20,"stream_options":{}}'],
  ["chat/completions", '{"stream":true,"max_tokens":9,"stream_options":{"include_usage":false}}'],
  ["chat/completions", '{"stream":true,"max_tokens":9,"stream_options":{"include_usage":true}}'],
  ["chat/completions", '{"stream_options":{"x":1,"include_usage" : null },"stream":true}'],
  ["chat/completions?a=b", '{"stream": true, "max_tokens": 5000, "n": 2}'],
  ["chat/completions", '{"max_completion_tokens":5000,"messages":[{"content":"\\u00e9\\ud83d"}]}'],
  ["chat/completions", '{"max_tokens":1e9,"messages":[]}\n'],
  ["chat/completions", '{"max_tokens":12,"messages":[{"content":"\\"max_tokens\\":5000}"}]}'],
  ["completions", '{"prompt":"é ü 漢","stream":true,"max_tokens":7}'],
  ["responses", '{"input":"hello","stream":true}'],
  ["responses", '{"input":"hello","max_output_tokens":100000}'],
  ["messages", '{"max_tokens":64,"messages":[{"role":"user","content":"hello"}],"stream":true}'],
  ["embeddings", '{"input":["one","two"]}'],
  ["chat/completions", '{"stream":true,"max_tokens":12'],
  ["chat/completions", '{"max_tokens":123}}, what?'],
  ["chat/completions", "not JSON"],
  ["chat/completions", "{}"],
];

const events: Headers = [["content-type", "text/event-stream; charset=utf-8"]];
const json: Headers = [["content-type", "application/json"]];
const chunk = (rest: string) => `{"id":"c1","object":"chat.completion.chunk",${rest}}`;
const says = (text: string) => chunk(`"choices":[{"index":0,"delta":{"content":"${text}"}}]`);
const told = '"usage":{"prompt_tokens":3,"completion_tokens":11,"total_tokens":14}';
const dear = '"usage":{"prompt_tokens":9,"completion_tokens":80}';
const stop = chunk('"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]');
const stream = (end: string, ...data: string[]) =>
  data.map((each) => `data: ${each}${end}${end}`).join("");

/** Status, headers and body of answers. */
const answers: [status: number, headers: Headers, body: string][] = [
  [
    200,
    events,
    stream("\n", says("hi"), says("you"), stop, chunk(`"choices":[],${told}`), "[DONE]"),
  ],
  [200, events, stream("\r\n", says("hi"), stop, chunk(`"choices":[],${told}`), "[DONE]")],
  [200, events, stream("\r", says("hi"), chunk(`${told},"choices":[]`), "[DONE]")],
  [200, events, `\ufeff: ping\n\nevent: x\nid: 1\n${stream("\n", says("a\\nb"), stop, "[DONE]")}`],
  [200, events, stream("\n", chunk(`"choices":[{"delta":{"content":"x"}}],${told}`), "[DONE]")],
  [200, events, stream("\n", ...Array.from({ length: 150 }, () => says("word")), stop, "[DONE]")],
  [
    200,
    events,
    stream("\n", says('\\"choices\\":[],\\"usage\\":{'), chunk(`"choices":[],${dear}`)),
  ],
  [200, events, `data: ${says("broken off")}`],
  [200, events, ""],
  [200, json, `{"id":"c1","choices":[{"message":{"content":"hello"}}],${told}}`],
  [200, json, `{"choices":[{"finish_reason":"length","message":{"content":"so"}}],${dear}}`],
  [200, json, '{"choices":[{"message":{"content":"no usage"}}]}'],
  [200, json, "{"],
  [200, [...events, ["content-encoding", "gzip"]], "not really gzip"],
  [200, [], "some bytes"],
  [400, json, '{"error":{"message":"no"}}'],
  [429, [...json, ["retry-after", "7"], ["x-ratelimit-limit-tokens", "1"]], '{"error":{}}'],
  [
    503,
    [
      ["x-twice", "1"],
      ["x-twice", "2"],
    ],
    "",
  ],
];

/** Tokens a minute are few: what a case sees then does not depend on how long it takes. */
export const tokenTruth = {
  file: "build/token-limit.wasm",
  config: {
    revision: "t1",
    routes: [
      {
        name: "inference/chat",
        hosts: ["chat.example.com"],
        tokenLimit: {
          identity: [{ header: "x-tenant-id" }],
          tiers: {
            small: { tokensPerMinute: "100" },
            tiny: { tokensPerMinute: "24" },
            none: { tokensPerMinute: "0" },
            free: {},
          },
          tenants: {
            ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`small-${i}`, "small"])),
            ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`tiny-${i}`, "tiny"])),
            barred: "none",
            open: "free",
          },
          default: "free",
          variants: ["stable", "canary"],
          expectedTokens: 30,
          overrun: "finish",
        },
      },
    ],
  },
};

/** Cuts bytes at any place, also inside of a character. */
function cut(bytes: Buffer, random: () => number): Buffer[] {
  const cuts = Array.from({ length: Math.floor(random() * 6) }, () =>
    Math.floor(random() * bytes.length),
  ).sort((a, b) => a - b);
  return [0, ...cuts]
    .map((from, i) => bytes.subarray(from, cuts[i] ?? bytes.length))
    .filter((piece) => piece.length > 0);
}

const claims: Headers = [
  ["x-weir-tenant", "acme"],
  ["x-checksum", "1"],
  ["x-traffic-tag", "mine"],
];

function bodyOf(text: string, random: () => number, trails: boolean): Body {
  const pieces = cut(Buffer.from(text), random);
  return {
    pieces,
    endsWithPiece: pieces.length > 0 && random() < 0.4,
    trailers: trails ? claims : [],
  };
}

/** One case: a tenant asks a question and gets an answer. */
export function tokenCase(name: string, tenant: string, random: () => number): Exchanged {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const [path, text] = pick(questions);
  const [status, headers, answer] = pick(answers);
  const chunked = random() < 0.5;
  const chunkedAnswer = random() < 0.7;
  const length = (body: string): Headers => [["content-length", `${Buffer.byteLength(body)}`]];
  return {
    name,
    protocol: pick(["h1", "h2"]),
    method: "POST",
    path: `/v1/${path}`,
    authority: "chat.example.com",
    headers: [
      ["x-tenant-id", tenant],
      ["content-type", "application/json"],
      ["accept-encoding", "gzip"],
      ["te", "trailers"],
      ...(random() < 0.1 ? ([["content-encoding", "identity"]] as Headers) : []),
      ...(random() < 0.5 ? ([["x-weir-variant", "canary"]] as Headers) : []),
      ...(chunked ? [] : length(text)),
    ],
    body: bodyOf(text, random, chunked && random() < 0.4),
    answer: {
      status,
      headers: chunkedAnswer ? headers : [...headers, ...length(answer)],
      ...bodyOf(answer, random, chunkedAnswer && random() < 0.3),
    },
  };
}
