import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { counted } from "../../e2e/counted.ts";
import type { Answer } from "../../e2e/gateway-client.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "../behind-weir.ts";
import { expectSame } from "../same-answer.ts";
import { expectShed, sheds } from "../shedding.ts";
import { askShortStreams } from "../short-streams.ts";
import { type Passed, startTap, type Tap } from "../tap.ts";
import { usageIn } from "../usage.ts";
import { startVllm, type Vllm } from "./servers.ts";

const soon = { timeout: 30_000, interval: 200 };
/** So many answers it works on at once. */
const sequences = 8;
const streams = 5_000;
let weir: BehindWeir;
let vllm: Vllm;
let tap: Tap;

const messages = [{ role: "user", content: "Where do you go? \u6cb3\u6d41 \u{1f30a}" }];
const fixed = { model: "tiny", temperature: 0, ignore_eos: true };
const chat = { ...fixed, messages, max_tokens: 12 };
const random = { temperature: 1 };
const usage = { stream_options: { include_usage: true } };
const chatPath = "/v1/chat/completions";
const asked: readonly [name: string, path: string, body: object, status: number][] = [
  ["a chat completion", chatPath, chat, 200],
  ["a chat stream with usage", chatPath, { ...chat, stream: true, ...usage }, 200],
  ["a chat stream without usage", chatPath, { ...chat, stream: true }, 200],
  // Without temperature it makes one choice alone.
  ["two choices", chatPath, { ...chat, ...random, n: 2 }, 200],
  ["two streamed choices", chatPath, { ...chat, ...random, n: 2, stream: true, ...usage }, 200],
  ["two greedy choices", chatPath, { ...chat, n: 2 }, 400],
  ["log probabilities", chatPath, { ...chat, logprobs: true, top_logprobs: 2 }, 200],
  ["a completion", "/v1/completions", { ...fixed, prompt: "A river is", max_tokens: 12 }, 200],
  [
    "a streamed completion",
    "/v1/completions",
    { ...fixed, prompt: ["A river is", "A lake"], max_tokens: 12, stream: true },
    200,
  ],
  ["a response", "/v1/responses", { model: "tiny", input: "hello", max_output_tokens: 12 }, 200],
  [
    "a streamed response",
    "/v1/responses",
    { model: "tiny", input: "hello", max_output_tokens: 12, stream: true },
    200,
  ],
  ["a message", "/v1/messages", { ...fixed, messages, max_tokens: 12 }, 200],
  ["a streamed message", "/v1/messages", { ...fixed, messages, max_tokens: 12, stream: true }, 200],
  ["tokens of a text", "/tokenize", { model: "tiny", prompt: "A river is" }, 200],
  ["a wrong model", chatPath, { ...chat, model: "large" }, 404],
  [
    "a prompt beyond the context",
    chatPath,
    { ...chat, messages: [{ role: "user", content: "word ".repeat(9000) }] },
    400,
  ],
  ["messages of a wrong type", chatPath, { ...chat, messages: 7 }, 400],
  ["a path that is not there", "/v1/rivers", {}, 404],
];
const seen = new Map<string, { answer: Answer; passed: Passed }>();
const routeOf = (name: string) => name.replaceAll(" ", "-");

beforeAll(async () => {
  vllm = await startVllm(sequences);
  tap = await startTap(vllm.endpoint);
  weir = await startBehindWeir();
  const server = "vllm";
  await weir.apply(
    ...asked.map(([name]) => inferenceRoute(routeOf(name), { stable: tap.endpoint }, { server })),
    inferenceRoute("crowded", { stable: vllm.endpoint }, { rateLimit: sheds, server }),
    inferenceRoute("short", { stable: vllm.endpoint }, { server }),
    inferenceRoute("bench", { stable: vllm.endpoint }, { server }),
  );
  for (const [name, path, body] of asked) {
    const headers = { host: hostOf(routeOf(name)), "x-tenant-id": "acme", "x-case": name };
    const answer = await weir.client.post(path, body, headers);
    const passed = tap.passed.get(name);
    if (passed === undefined) throw new Error(`${name}: the pod answered nothing`);
    seen.set(name, { answer, passed });
  }
}, 1_800_000);
afterAll(async () => {
  await weir?.stop();
  tap?.close();
  await vllm?.stop();
});

describe("an answer of vLLM", () => {
  it.each(asked)("%s: is the same for the client as for Envoy", (name, _, body, status) => {
    const { answer, passed } = seen.get(name) ?? expect.fail(name);
    expect(passed.status, passed.body.toString()).toBe(status);
    expectSame(body, answer, passed);
  });

  it.each(asked)("%s: its tokens are what its usage says", async (name) => {
    const { passed } = seen.get(name) ?? expect.fail(name);
    const { prompt, completion } = usageIn(passed);
    const tokens = (kind: string) =>
      counted(
        weir.server,
        "weir_tokens_total",
        `kind="${kind}"`,
        `route="inference/${routeOf(name)}"`,
      );
    await expect.poll(() => tokens("completion"), soon).toBe(completion);
    expect(await tokens("prompt")).toBe(prompt);
  });

  it("all together have the tokens that the server itself counted", async () => {
    const used = [...seen.values()].map(({ passed }) => usageIn(passed));
    const sum = (of: "prompt" | "completion") => used.reduce((all, each) => all + each[of], 0);
    expect(await vllm.metric("vllm:generation_tokens_total")).toBe(sum("completion"));
  });
});

it(`${sequences * 3} clients that stream from ${sequences} places have bronze refused within 3 s, and gold never`, async () => {
  expect(await expectShed(weir.client, hostOf("crowded"), sequences)).toBeLessThan(3_000);
}, 180_000);

it("a foreign load generator gets all of its answers", () => {
  const text = execFileSync(
    vllm.python,
    [
      ...["-m", "vllm.entrypoints.cli.main", "bench", "serve", "--backend", "openai-chat"],
      ...["--base-url", weir.url, "--endpoint", chatPath, "--model", "tiny"],
      ...["--tokenizer", vllm.folder, "--dataset-name", "random", "--random-input-len", "32"],
      ...["--random-output-len", "8", "--num-prompts", "100", "--max-concurrency", "8"],
      ...["--header", `host=${hostOf("bench")}`, "x-tenant-id=acme", "--ignore-eos"],
    ],
    { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
  expect(text).toMatch(/Successful requests: +100\b/);
  expect(text).toMatch(/Failed requests: +0\b/);
}, 600_000);

it(`answers each of ${streams} streams once, and none fails`, async () => {
  const done = () => vllm.metric("vllm:request_success_total");
  const before = await done();
  const failed = await askShortStreams(weir.client, streams, sequences, { host: hostOf("short") });
  expect(failed).toEqual([]);
  await expect.poll(async () => (await done()) - before, soon).toBe(streams);
}, 1_800_000);
