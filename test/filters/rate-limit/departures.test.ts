import { describe, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import type { Exchange, Worker } from "../../host/worker.ts";
import { configuredProxy, fullestConfig, requestHeaders } from "../module.ts";
import { ask, events, json, says, stream, tokenProxy } from "../token-limit/token-streams.ts";

// A client may leave at any moment. What a request took by then goes back, but
// for what was read of it and written for it.

const gold = { "x-tenant-id": "acme" };
const full = 60_000;
const text = "word ".repeat(800);
const body = Buffer.from(JSON.stringify({ max_tokens: 500, messages: [{ content: text }] }));
const begin = body.indexOf("word");

/** Tokens a tenant has left: told by an answer that costs nothing. */
function leftOf(worker: Worker): number {
  const exchange = ask(worker, gold);
  const headers = exchange.responseHeaders([[":status", "500"]], true);
  exchange.end();
  const [left] = valuesOf(headers, "x-ratelimit-remaining-tokens");
  return Number(left) + 16;
}

type Step = (exchange: Exchange) => void;
const sends =
  (bytes: number, last = false): Step =>
  (exchange) =>
    void exchange.requestBody(body.subarray(0, bytes), last);
const whole: Step = sends(body.length, true);
const answers =
  (status: string, headers = json, last = false): Step =>
  (exchange) =>
    void exchange.responseHeaders([[":status", status], ...headers.slice(1)], last);
const writes =
  (piece: string, last = false): Step =>
  (exchange) =>
    void exchange.responseBody(Buffer.from(piece), last);
const usage = { prompt_tokens: 900, completion_tokens: 100 };
const said = JSON.stringify({ choices: [], usage });

/** Moment, what happened until then, and the tokens that it cost. */
const moments: [string, Step[], number][] = [
  ["before its body", [], 0],
  ["behind an empty piece", [sends(0)], 0],
  ["before the text", [sends(begin)], 0],
  ["behind 400 bytes of the text", [sends(begin + 400)], 100],
  ["behind the text, before the body's end", [sends(body.length - 4)], 1000],
  ["before the answer", [whole], 1000],
  ["when the answer began", [whole, answers("200")], 1000],
  [
    "in the middle of a stream",
    [whole, answers("200", events), writes(stream(says("word")))],
    1001,
  ],
  ["when the pod told its usage", [whole, answers("200"), writes(said)], 1000],
  ["after the answer", [whole, answers("200"), writes(said, true)], 1000],
  ["after a failure", [whole, answers("503", json, true)], 0],
  ["when a failure began", [whole, answers("400")], 0],
  ["before its body, answered already", [answers("200")], 0],
  ["in the middle of its body, answered already", [sends(begin + 400), answers("200")], 100],
];

describe("a client that leaves", () => {
  it.each(moments)("%s pays what came by and no more", (_, steps, cost) => {
    const { worker } = tokenProxy();
    expect(leftOf(worker)).toBe(full);
    for (let i = 0; i < 3; i++) {
      const exchange = ask(worker, { ...gold, "content-length": String(body.length) });
      for (const step of steps) step(exchange);
      exchange.end();
      expect(leftOf(worker)).toBe(full - (i + 1) * cost);
    }
  });

  it("pays nothing for 65,536 bytes that it only promised", () => {
    const { worker } = tokenProxy();
    for (let i = 0; i < 100; i++)
      ask(worker, { ...gold, "content-length": "65536" }).end("downstream_remote_disconnect");
    expect(leftOf(worker)).toBe(full);
  });

  it.each([
    ["compressed", { "content-encoding": "gzip" }, 4000, 415],
    ["no JSON", { "content-type": "multipart/form-data; boundary=x" }, 4000, 400],
    ["larger than what is read", {}, (4 << 20) + 1, 413],
  ])("pays nothing for a body that is %s, which no pod gets", (_, headers, bytes, status) => {
    const { worker } = tokenProxy();
    const exchange = ask(worker, { ...gold, ...headers, "content-length": "40000" });
    if (!exchange.reply()) exchange.requestBody(Buffer.alloc(bytes, "x"), true);
    expect(exchange.reply()?.status).toBe(status);
    exchange.end();
    expect(leftOf(worker)).toBe(full);
  });

  it("pays a token for each KiB of an image that it sends as text, wherever it leaves", () => {
    const { worker } = tokenProxy();
    const image = Buffer.from(
      `{"messages":[{"image_url":{"url":"data:image/png;base64,${"x".repeat(40_000)}"}}]}`,
    );
    for (const bytes of [30_000, image.length]) {
      const exchange = ask(worker, { ...gold, "content-length": String(image.length) });
      exchange.requestBody(image.subarray(0, bytes), bytes === image.length);
      exchange.end();
    }
    // 30,000 bytes and 40,000.
    expect(full - leftOf(worker)).toBe(69);
  });

  it.each([
    ["before the answer", []],
    ["when the answer began", [":status"]],
  ])("%s leaves no place taken and no memory", (_, answered) => {
    const { shared, workers } = configuredProxy("weir-full", fullestConfig(), 2);
    const headers = requestHeaders({ "x-tenant-id": "acme", "x-user-id": "ada" });
    const inFlight = () =>
      [...shared.metrics.values()].filter(({ name }) => name.endsWith("weir_in_flight"));
    const round = () => {
      const open = workers.flatMap((worker) =>
        Array.from({ length: 20 }, () => worker.open(headers)),
      );
      expect(inFlight().map(({ value }) => Number(value))).toEqual([40, 40]);
      for (const each of open) {
        if (answered.length > 0) each.answer([[":status", "200"]]);
        each.end();
        each.end();
      }
      expect(inFlight().map(({ value }) => Number(value))).toEqual([0, 0]);
      shared.nowNs += 10_000_000_000n;
    };
    round();
    const before = workers.map((worker) => worker.memoryBytes());
    for (let i = 0; i < 50; i++) round();
    expect(workers.map((worker) => worker.memoryBytes())).toEqual(before);
  });
});
