import { describe, expect, it } from "vitest";
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

const proxy = tokenProxy();
let before: Record<string, number> = {};

/** Sends an answer in pieces cut at these places and tells what was counted. */
function countsOf(answer: Buffer, cuts: readonly number[], headers = events) {
  const exchange = ask(proxy.worker);
  exchange.responseHeaders(headers);
  const places = [0, ...cuts, answer.length];
  const passed = places.slice(1).map((end, i) => {
    const last = i === places.length - 2;
    return exchange.responseBody(answer.subarray(places[i], end), last);
  });
  exchange.end();
  expect(Buffer.concat(passed).equals(answer)).toBe(true);
  const totals = counted(reportOf(proxy));
  const added = Object.entries(totals).map(([name, total]) => [name, total - (before[name] ?? 0)]);
  before = totals;
  proxy.shared.httpCalls.length = 0;
  return Object.fromEntries(added.filter(([, value]) => value !== 0));
}

const tricky = [
  says('gr\u00fc\u00df \u{1f980} "usage": {"completion_tokens": 999}'),
  says('data: {"usage":{"prompt_tokens":7}}\\n\\n'),
  chunk({ delta: { content: "x" }, finish_reason: null }, null),
  chunk({
    delta: { tool_calls: [{ function: { arguments: '{"usage":{"completion_tokens":5}}' } }] },
  }),
  chunk({ delta: { content: "" } }, usage(3, 2)),
  JSON.stringify({ notUsage: { usage: usage(90, 90) }, choices: [] }),
  finishes("stop"),
  chunk(undefined, usage(12, 34)),
  "[DONE]",
];
const wanted = {
  "responses 2xx": 1,
  "streams done": 1,
  "finishes stop": 1,
  "tokens prompt": 12,
  "tokens completion": 34,
  "usage reported": 1,
};

const spellings: [string, string][] = [
  ["as it is usual", stream(...tricky)],
  ["with CRLF", stream(...tricky).replaceAll("\n", "\r\n")],
  ["with CR", stream(...tricky).replaceAll("\n", "\r")],
  ["without a space", stream(...tricky).replaceAll("data: ", "data:")],
  ["with a byte order mark", `\ufeff${stream(...tricky)}`],
  [
    "with comments, other fields and empty events",
    `: ping\n\nevent: message\nid: 1\nretry: 5\ndatas: {"usage":1}\n${stream(...tricky).replaceAll("\n\n", "\n: {\n\n\n")}`,
  ],
  [
    "over several data lines",
    stream(...tricky)
      .replaceAll(',"object"', ',\ndata: "object"')
      .replaceAll('"created":', '"created":\ndata:'),
  ],
  [
    "with spaces in the JSON",
    stream(...tricky)
      .replaceAll('":', '" : ')
      .replaceAll("{", "{ "),
  ],
];

describe("usage in an event stream", () => {
  describe.each(spellings)("%s", (_name, text) => {
    const answer = Buffer.from(text, "utf8");
    it("B11 is found whole", () => {
      expect(countsOf(answer, [])).toEqual(wanted);
    });
    it("B11 is found cut in two at every byte", () => {
      for (let cut = 1; cut < answer.length; cut++)
        expect(countsOf(answer, [cut]), `cut at ${cut}`).toEqual(wanted);
    });
    it("B11 is found byte by byte", () => {
      const cuts = Array.from({ length: answer.length - 1 }, (_, i) => i + 1);
      expect(countsOf(answer, cuts)).toEqual(wanted);
    });
  });

  it("told in each event is not added up: the last word counts", () => {
    const answer = stream(
      ...[1, 2, 3].map((n) => chunk({ delta: { content: "a" } }, usage(5, n))),
      "[DONE]",
    );
    expect(countsOf(Buffer.from(answer), [])).toMatchObject({
      "tokens prompt": 5,
      "tokens completion": 3,
    });
  });

  it("that never comes is estimated by events and bytes, and counted as such", () => {
    const answer = stream(says("a"), says("b"), says("0123456789abcdef"), "[DONE]");
    expect(countsOf(Buffer.from(answer), [])).toMatchObject({
      "tokens completion": 5,
      "usage estimated": 1,
    });
  });

  it("is found behind one event of 8 MiB without a line's end, which flows on in its pieces", () => {
    const large = says("x".repeat(8 << 20));
    const answer = Buffer.from(stream(large, chunk(undefined, usage(1, 2)), "[DONE]"));
    const cuts = Array.from({ length: 500 }, (_, i) => (i + 1) * 16_000);
    expect(countsOf(answer, cuts)).toMatchObject({ "tokens completion": 2, "streams done": 1 });
  });
});

describe("usage in a whole answer", () => {
  const answer = Buffer.from(
    JSON.stringify({
      id: "chatcmpl-1",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: '"usage":{"completion_tokens":999}}]} \\ gr\u00fc\u00df',
            tool_calls: [{ usage: usage(1, 1) }],
          },
          usage: usage(70, 70),
          finish_reason: "stop",
        },
      ],
      nested: { usage: usage(80, 80), list: [[{ usage: usage(81, 81) }]] },
      usage: { prompt_tokens_details: { cached_tokens: 5, prompt_tokens: 4 }, ...usage(12, 34) },
    }),
  );
  const counts = { ...wanted };
  it("is found cut in two at every byte, and byte by byte", () => {
    const expected = Object.fromEntries(
      Object.entries({ ...counts, "token_details cached": 5 }).filter(
        ([name]) => !name.startsWith("streams"),
      ),
    );
    for (let cut = 1; cut < answer.length; cut++)
      expect(countsOf(answer, [cut], json), `cut at ${cut}`).toEqual(expected);
    const all = Array.from({ length: answer.length - 1 }, (_, i) => i + 1);
    expect(countsOf(answer, all, json)).toEqual(expected);
  });
});
