import { describe, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import {
  ask,
  chunk,
  counted,
  events,
  finishes,
  reportOf,
  says,
  stream,
  tokenProxy,
  usage,
} from "./token-streams.ts";

const bytes = (text: string) => Buffer.from(text, "utf8");

/** What the pods get of a body cut at these places; its length is the one they were told. */
function sentOn(body: Buffer, cuts: readonly number[], tenant: string, sized = true): string {
  const proxy = tokenProxy();
  const exchange = ask(proxy.worker, {
    "x-tenant-id": tenant,
    ...(sized ? { "content-length": String(body.length) } : {}),
  });
  const places = [0, ...cuts, body.length];
  const pieces = places
    .slice(1)
    .map((end, i) => exchange.requestBody(body.subarray(places[i], end), end === body.length));
  const sent = Buffer.concat(pieces);
  const [length] = valuesOf(exchange.requestHeaders, "content-length");
  if (sized) expect(sent.length).toBe(Number(length));
  return sent.toString();
}

const everyCut = (body: Buffer) => Array.from({ length: body.length - 1 }, (_, i) => [i + 1]);

/** Bodies and what they mean to the pods for a tenant with 600 tokens a minute. */
const bodies: [name: string, body: string, wanted: object][] = [
  [
    "a maximum above what there is comes down to it",
    '{"max_tokens": 40960, "messages": []}',
    { max_tokens: 590, messages: [] },
  ],
  [
    "a maximum within it stays",
    '{"model":"m","max_completion_tokens":17,"messages":[]}',
    { model: "m", max_completion_tokens: 17, messages: [] },
  ],
  ["a maximum written as 1e9 comes down", '{"max_tokens":1e9}', { max_tokens: 595 }],
  ["a maximum written as 1e5 has no room for more", '{"max_tokens":9e3}', { max_tokens: 595 }],
  [
    "a maximum of 30 digits comes down",
    '{"max_tokens":100000000000000000000000000000}',
    { max_tokens: 588 },
  ],
  [
    "a maximum with an escape in its name comes down",
    '{"max\\u005ftokens":5000}',
    { max_tokens: 594 },
  ],
  [
    "both maxima come down",
    '{"max_tokens":900,"max_completion_tokens":900}',
    { max_tokens: 588, max_completion_tokens: 588 },
  ],
  [
    "another one's maximum stays",
    '{"max_tokens":1,"tools":[{"max_tokens":99999}]}',
    { max_tokens: 1, tools: [{ max_tokens: 99_999 }] },
  ],
  ["choices share what there is", '{"n":4,"max_tokens":5000}', { n: 4, max_tokens: 148 }],
  [
    "usage is asked for where a stream does not",
    '{"stream":true,"max_tokens":5}',
    { stream: true, max_tokens: 5, stream_options: { include_usage: true } },
  ],
  [
    "usage is not asked for where there is no stream",
    '{"stream":false,"max_tokens":5}',
    { stream: false, max_tokens: 5 },
  ],
  [
    "usage that is asked for stays",
    '{"stream":true,"max_tokens":5,"stream_options":{"include_usage":true}}',
    { stream: true, max_tokens: 5, stream_options: { include_usage: true } },
  ],
  [
    "usage that is declined is asked for",
    '{"stream":true,"max_tokens":5,"stream_options":{"include_usage":false,"x":1}}',
    { stream: true, max_tokens: 5, stream_options: { include_usage: true, x: 1 } },
  ],
  [
    "usage that is null is asked for",
    '{"stream":true,"max_tokens":5,"stream_options":{"include_usage":null}}',
    { stream: true, max_tokens: 5, stream_options: { include_usage: true } },
  ],
  [
    "usage joins other options",
    '{"stream":true,"max_tokens":5,"stream_options":{"include_obfuscation":false}}',
    {
      stream: true,
      max_tokens: 5,
      stream_options: { include_obfuscation: false, include_usage: true },
    },
  ],
  [
    "usage joins empty options",
    '{"stream":true,"max_tokens":5,"stream_options":{ }}',
    { stream: true, max_tokens: 5, stream_options: { include_usage: true } },
  ],
  [
    "what looks like members inside of texts and lists changes nothing",
    '{"max_tokens":5,"messages":[{"content":"\\"stream\\":true,\\"max_tokens\\":9999}"},["stream",true,{"max_tokens":7777}]]}',
    {
      max_tokens: 5,
      messages: [
        { content: '"stream":true,"max_tokens":9999}' },
        ["stream", true, { max_tokens: 7777 }],
      ],
    },
  ],
];

describe("a request's body", () => {
  describe.each(bodies)("%s", (_name, text, wanted) => {
    const body = bytes(text);
    it("whole, cut in two at every byte, and byte by byte", () => {
      const whole = sentOn(body, [], "tiny");
      expect(JSON.parse(whole)).toEqual(wanted);
      for (const cut of everyCut(body))
        expect(sentOn(body, cut, "tiny"), `cut at ${cut}`).toBe(whole);
      expect(sentOn(body, everyCut(body).flat(), "tiny")).toBe(whole);
    });
    it("without a content-length has no spaces to fill it", () => {
      const sent = sentOn(body, [], "tiny", false);
      expect(Object.keys(JSON.parse(sent))).toEqual(Object.keys(wanted));
      expect(sent).not.toMatch(/ {31}/);
    });
    it("of a tenant without a limit passes as it came", () => {
      for (const cut of [[], ...everyCut(body)]) expect(sentOn(body, cut, "open")).toBe(text);
    });
  });

  it("without a maximum gets one where there is less than usual", () => {
    const proxy = tokenProxy((policy) => {
      policy.expectedTokens = 5000;
    });
    const body = bytes('{"messages":[{"content":"abcd"}]}');
    const exchange = ask(proxy.worker, {
      "x-tenant-id": "tiny",
      "content-length": `${body.length}`,
    });
    const sent = exchange.requestBody(body, true);
    expect(JSON.parse(sent.toString()).max_tokens).toBe(591);
    expect(sent.length).toBe(Number(valuesOf(exchange.requestHeaders, "content-length")[0]));
    expect(counted(reportOf(proxy))).toMatchObject({ "token_limit clamped": 1 });
  });

  it.each([
    ["no JSON", "hello"],
    ["a list", '[{"max_tokens":99999}]'],
    ["half a document", '{"max_tokens":5,"messages":["a'],
    ["half a number", '{"max_tokens":40'],
    ["two documents", '{"max_tokens":5}{"max_tokens":99999}'],
    ["deep nesting", "[".repeat(100)],
    ["in UTF-16", '\0{\0"\0a\0"\0:\x001\0}'],
  ])("that is %s is refused, and passes where no one is limited", (_name, text) => {
    const body = bytes(text);
    for (const cut of [[], ...everyCut(body)]) {
      const exchange = ask(tokenProxy().worker, { "x-tenant-id": "tiny" });
      let at = 0;
      for (const end of [...cut, body.length]) {
        if (!exchange.reply()) exchange.requestBody(body.subarray(at, end), end === body.length);
        at = end;
      }
      expect(exchange.reply()).toMatchObject({ status: 400 });
      expect(JSON.parse(exchange.reply()?.body ?? "")).toMatchObject({ code: "body_malformed" });
      expect(sentOn(body, cut, "open")).toBe(text);
    }
  });

  it.each([
    ["nothing but a word", "null"],
    ["an empty object", "{}"],
  ])("that is %s arrives as it was, but for spaces behind it", (_name, text) => {
    const body = bytes(text);
    for (const cut of [[], ...everyCut(body)])
      expect(sentOn(body, cut, "tiny").replace(/ {9,}/, "")).toBe(text);
  });

  it("that breaks off before its trailers is refused: the pods were promised more", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "tiny", "content-length": "500" });
    exchange.requestBody(bytes('{"messages":[1,2'), false);
    exchange.requestTrailers([["x-checksum", "1"]]);
    expect(exchange.reply()).toMatchObject({ status: 400 });
  });

  it("goes on in its own pieces, however large it is", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme" });
    const head = bytes('{"max_tokens":5,"messages":[{"content":"');
    expect(exchange.requestBody(head, false)).toEqual(head);
    const part = Buffer.alloc(65_536, "x");
    for (let i = 0; i < 400; i++) expect(exchange.requestBody(part, false).equals(part)).toBe(true);
    expect(exchange.requestBody(bytes('"}]}'), true).toString()).toBe('"}]}');
  });
});

describe("the event that tells usage because the filter asked", () => {
  const before = [
    chunk({ delta: { role: "assistant", content: "" } }, null),
    says("Hel"),
    says('lo "choices":[],"usage":{"prompt_tokens":1}'),
    finishes("stop"),
  ];
  const extra = chunk(undefined, usage(12, 34));
  const wanted = stream(...before, "[DONE]");

  /** What the client gets of an answer cut at these places. */
  function received(text: string, cuts: readonly number[], request: object = {}): string[] {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme" });
    exchange.requestBody(bytes(JSON.stringify({ stream: true, messages: [], ...request })), true);
    exchange.responseHeaders(events);
    const answer = bytes(text);
    const places = [0, ...cuts, answer.length];
    const pieces = places.slice(1).map((end, i) => {
      const last = end === answer.length;
      return exchange.responseBody(answer.subarray(places[i], end), last).toString();
    });
    exchange.end();
    expect(counted(reportOf(proxy))).toMatchObject({
      "usage reported": 1,
      "tokens completion": 34,
    });
    return pieces;
  }

  it.each([
    ["LF", "\n"],
    ["CRLF", "\r\n"],
    ["CR", "\r"],
  ])("is taken out wherever it is cut, with %s at the ends of lines", (_name, end) => {
    const text = stream(...before, extra, "[DONE]").replaceAll("\n", end);
    const plain = (pieces: string[]) =>
      pieces
        .join("")
        .replaceAll(/\r\n?/g, "\n")
        .replaceAll(/\n{3,}/g, "\n\n");
    expect(plain(received(text, []))).toBe(wanted);
    for (let cut = 1; cut < text.length; cut++)
      expect(plain(received(text, [cut])), `cut at ${cut}`).toBe(wanted);
    const all = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
    expect(plain(received(text, all))).toBe(wanted);
  });

  it("stays where the client asked for it itself", () => {
    const text = stream(...before, extra, "[DONE]");
    expect(received(text, [], { stream_options: { include_usage: true } }).join("")).toBe(text);
  });

  it("stays where usage comes with the last choice", () => {
    const text = stream(
      ...before.slice(0, 3),
      chunk({ delta: {}, finish_reason: "stop" }, usage(12, 34)),
      "[DONE]",
    );
    expect(received(text, []).join("")).toBe(text);
  });

  it("holds back no whole event, and of a begun one only what may be it", () => {
    const text = stream(...before, extra, "[DONE]");
    const all = Array.from({ length: text.length - 1 }, (_, i) => i + 1);
    const pieces = received(text, all);
    let got = "";
    for (const [i, piece] of pieces.entries()) {
      got += piece;
      const sent = text.slice(0, i + 1);
      const wholeEvents = sent
        .slice(0, sent.includes("\n\n") ? sent.lastIndexOf("\n\n") + 2 : 0)
        .replace(`data: ${extra}\n\n`, "");
      expect(got.startsWith(wholeEvents.slice(0, wanted.length)), `after ${i} bytes`).toBe(true);
      // Once a choice has begun, everything goes on at once.
      const begun = sent.slice(sent.lastIndexOf("data: "));
      if (/"choices":\[\{/.test(begun) && !begun.includes("\n\n"))
        expect(got.endsWith(begun)).toBe(true);
    }
  });

  it("does not hold back comments that keep the connection alive", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme" });
    exchange.requestBody(bytes('{"stream":true}'), true);
    exchange.responseHeaders(events);
    for (const ping of [": ping\n", ":\n\n", ": pi", "ng\n\n"])
      expect(exchange.responseBody(bytes(ping), false).toString()).toBe(ping);
  });

  it("waits in at most 16 KiB: a longer event goes on", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme" });
    exchange.requestBody(bytes('{"stream":true}'), true);
    exchange.responseHeaders(events);
    const head = `data: {"id":"${"x".repeat(10_000)}`;
    expect(exchange.responseBody(bytes(head), false)).toHaveLength(0);
    const more = "y".repeat(10_000);
    expect(exchange.responseBody(bytes(more), false).toString()).toBe(head + more);
    const rest = '","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n';
    expect(exchange.responseBody(bytes(rest), false).toString()).toBe(rest);
  });

  it("comes out at the end when the stream breaks off in it", () => {
    const proxy = tokenProxy();
    const exchange = ask(proxy.worker, { "x-tenant-id": "acme" });
    exchange.requestBody(bytes('{"stream":true}'), true);
    exchange.responseHeaders(events);
    const begun = bytes('data: {"id":"x"');
    expect(exchange.responseBody(begun, false)).toHaveLength(0);
    expect(exchange.responseBody(Buffer.alloc(0), true)).toEqual(begun);
  });
});
