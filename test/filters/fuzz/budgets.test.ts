import { Buffer } from "node:buffer";
import { afterAll, beforeAll, expect, it } from "vitest";
import { valuesOf } from "../../host/header-map.ts";
import type { Worker } from "../../host/worker.ts";
import { generator } from "../../random.ts";
import { requestHeaders } from "../module.ts";
import { tokenProxy } from "../token-limit/token-streams.ts";
import { type Readers, startReaders } from "./readers.ts";

// Bodies of any kind, well made or not, through the filter and on to what pods read with:
// whatever a pod would write of them has been reserved, in whichever way it reads.

const total = Number(process.env.WEIR_BODIES ?? (process.env.WEIR_LONG ? 10_000_000 : 20_000));
/** Another one gives other bodies: runs beside each other add up. */
const seed = Number(process.env.WEIR_BODIES_SEED ?? 20261129);
const batch = 1000;
const perMinute = 60_000;

let readers: Readers;
beforeAll(() => {
  readers = startReaders();
}, 300_000);
afterAll(() => readers.stop());

const paths: Record<string, string> = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  responses: "/v1/responses",
  messages: "/v1/messages",
  ollama: "/api/chat",
};

const asked: Record<string, string> = {
  chat: "messages",
  completions: "prompt",
  responses: "input",
  messages: "messages",
  ollama: "messages",
};

const names = [
  "max_tokens",
  "max_completion_tokens",
  "max_output_tokens",
  "n_predict",
  "n",
  "best_of",
  "n_cmpl",
  "min_tokens",
  "num_predict",
  "prompt",
  "messages",
  "input",
  "stream",
  "stream_options",
  "options",
  "thinking",
  "model",
  "x",
];

/** Makes bodies: most are JSON or nearly so, with the names that matter in odd places and spellings. */
function maker(random: () => number) {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const space = () => (random() < 0.8 ? "" : pick([" ", "\n", "\t ", "\r\n"]));
  const spelled = (name: string): string => {
    const dice = random();
    if (dice < 0.9) return JSON.stringify(name);
    const at = Math.floor(random() * name.length);
    const letter = name.charCodeAt(at).toString(16).padStart(4, "0");
    if (dice < 0.94) return `"${name.slice(0, at)}\\u${letter}${name.slice(at + 1)}"`;
    if (dice < 0.96)
      return `"${name.slice(0, at)}${name.charAt(at).toUpperCase()}${name.slice(at + 1)}"`;
    if (dice < 0.97) return `"${name.replace("k", "\u212a").replace("s", "\u017f")}"`;
    return `"${name}${pick(["\\u0000", "\\n", " ", "\u00e9", "\\b"])}"`;
  };
  const number = (): string =>
    pick([
      () => String(Math.floor(random() * 40)),
      () => String(Math.floor(random() * 5000)),
      () => String(Math.floor(random() * 1e6)),
      () => `${Math.floor(random() * 9)}e${Math.floor(random() * 7)}`,
      () => `${Math.floor(random() * 1000)}.0`,
      () => `"${Math.floor(random() * 100_000)}"`,
      () => pick(["0", "-1", "-0", "0.0", "1.5", "1e400", "9".repeat(40), "NaN", "Infinity"]),
      () =>
        pick(["-Infinity", "true", "false", "null", "[]", "{}", '""', '"1e5"', '" 7"', '"1_0"']),
    ])();
  const text = (): string =>
    pick([
      () => JSON.stringify("word ".repeat(Math.floor(random() * 30))),
      () => '"\u6f22\u5b57"',
      () => '"\\u6f22\\ud83d\\ude00\\n"',
      () => '"\\"max_tokens\\":5000"',
      () => '""',
    ])();
  const list = (item: () => string): string =>
    `[${Array.from({ length: Math.floor(random() * 5) }, item).join(",")}]`;
  const value = (name: string): string => {
    if (random() < 0.05) return pick([number, text, () => list(number), () => object(3)])();
    if (name === "stream") return pick(["true", "false", "null", "1", '"yes"']);
    if (name === "model" || name === "x") return text();
    if (name === "messages") return list(() => `{"role":"user","content":${text()}}`);
    if (name === "input") return pick([text, () => list(text)])();
    if (name === "prompt")
      return pick([text, () => list(text), () => list(number), () => list(() => list(number))])();
    if (name === "options") return pick([() => "null", () => object(2, ["num_predict", "x"])])();
    if (name === "stream_options") return pick(["null", "{}", '{"include_usage":false}']);
    if (name === "thinking") return `{"type":"enabled","budget_tokens":${number()}}`;
    return number();
  };
  const object = (max: number, from: readonly string[] = names, asked: string[] = []): string =>
    `{${Array.from({ length: Math.floor(random() * (max + 1)) + asked.length }, (_, i) => {
      const name = asked[i] ?? pick(from);
      return `${space()}${spelled(name)}${space()}:${space()}${value(name)}${space()}`;
    }).join(",")}}`;
  return (asked: string): Buffer => {
    // What is asked comes first or last; without it nothing is.
    const first = random() < 0.5;
    const one = object(6, names, random() < 0.95 && first ? [asked] : []);
    const other = first
      ? one
      : one.replace(/\}$/, `${one.length > 2 ? "," : ""}"${asked}":${value(asked)}}`);
    const whole = `${space()}${other}${space()}`;
    const dice = random();
    if (dice < 0.93) return Buffer.from(whole);
    if (dice < 0.94) return Buffer.from(`\ufeff${whole}`);
    if (dice < 0.95) return Buffer.from(whole, "utf16le");
    if (dice < 0.96) return Buffer.from(`[${whole}]`);
    if (dice < 0.97) return Buffer.from(whole + whole);
    const bytes = Buffer.from(whole);
    if (dice < 0.98) return bytes.subarray(0, Math.floor(random() * bytes.length));
    bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    return bytes;
  };
}

/** What goes on to the pods, and how many tokens were reserved for it; undefined where it is refused. */
function send(worker: Worker, api: string, body: Buffer, random: () => number) {
  const sized = random() < 0.8 ? { "content-length": String(body.length) } : {};
  const exchange = worker.exchange(
    requestHeaders({ "x-tenant-id": "acme", ":path": paths[api] ?? "", ...sized }),
  );
  const cuts = Array.from({ length: Math.floor(random() * 4) }, () =>
    Math.floor(random() * (body.length + 1)),
  ).sort((a, b) => a - b);
  const sent: Buffer[] = [];
  for (const [i, end] of [...cuts, body.length].entries()) {
    if (exchange.reply()) break;
    const last = i === cuts.length;
    sent.push(exchange.requestBody(body.subarray(i === 0 ? 0 : cuts[i - 1], end), last));
  }
  const refused = exchange.reply();
  const answer = refused ? [] : exchange.responseHeaders([[":status", "500"]], true);
  exchange.end();
  if (refused) return undefined;
  const whole = Buffer.concat(sent);
  const [length] = valuesOf(exchange.requestHeaders, "content-length");
  if (length !== undefined) expect(whole.length).toBe(Number(length));
  const left = Number(valuesOf(answer, "x-ratelimit-remaining-tokens")[0]);
  return { api, body: whole, reserved: perMinute - left };
}

it("never lets a pod write more than was reserved, whatever the body", async () => {
  const random = generator(seed);
  const make = maker(random);
  const { worker } = tokenProxy((policy) => {
    policy.expectedTokens = 300;
  });
  let passed = 0;
  for (let done = 0; done < total; done += batch) {
    const sent = Array.from({ length: batch }, () => {
      const api = Object.keys(paths)[Math.floor(random() * 5)] as string;
      return send(worker, api, make(asked[api] ?? ""), random);
    }).filter((each) => each !== undefined);
    const read = await readers.read(sent);
    for (const [i, { api, body, reserved }] of sent.entries())
      for (const [tokens, textBytes] of read[i] ?? []) {
        if (tokens > 0) passed++;
        const what = `${api}, ${reserved} reserved: ${JSON.stringify(String(body))}`;
        expect(tokens, what).toBeGreaterThanOrEqual(0);
        // What a prompt takes beyond all there is is owed, which nothing here tells.
        const prompt = tokens > 0 && reserved < perMinute ? Math.ceil(textBytes / 4) : 0;
        expect(tokens + prompt, what).toBeLessThanOrEqual(reserved);
      }
  }
  // Bodies that pods take are many enough to have tried the filter at all.
  expect(passed).toBeGreaterThan(total / 10);
}, 14_400_000);
