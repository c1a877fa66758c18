import { execFile } from "node:child_process";
import { promisify } from "node:util";
import Anthropic, { NotFoundError as AnthropicNotFound } from "@anthropic-ai/sdk";
import OpenAI, { NotFoundError } from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BehindWeir, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { inferencePython, type Llama, type Models, startLlama, writeModels } from "./llama.ts";

const run = promisify(execFile);
const host = "models.example.com";
const names = ["llama-3-8b", "qwen-7b", "coder", "org/base:lora", "gpt-4o-mini"];
/** Clients that cannot name another host than the one they call. */
const hosts = [host, "127.0.0.1"];

let models: Models;
let llamas: Llama[];
let weir: BehindWeir;

/** A route for a model, with a canary of its own that gets half of the users. */
function routeOf(model: string, index: number): object {
  const [one, other] = llamas as [Llama, Llama];
  const more = {
    hosts,
    match: [{ model: { exact: model } }],
    tellVariant: true,
    variants: [
      { name: `stable-${index}`, weight: 50, endpoints: [one.endpoint] },
      { name: `canary-${index}`, weight: 50, endpoints: [other.endpoint] },
    ],
  };
  return inferenceRoute(`m${index}`, {}, more);
}

beforeAll(async () => {
  models = writeModels();
  llamas = [await startLlama(models.fast), await startLlama(models.fast)];
  weir = await startBehindWeir();
  await weir.apply(...names.map(routeOf));
});
afterAll(async () => {
  await weir?.stop();
  for (const llama of llamas ?? []) await llama.stop();
  models?.remove();
});

it("OpenAI's and Anthropic's clients for Python reach five models at one address, each with its own canary", async () => {
  const args = ["test/inference/models.py", weir.url, host, ...names];
  const { stdout } = await run(inferencePython(), args, { timeout: 150_000 });
  const said = JSON.parse(stdout);
  for (const [index, model] of names.entries()) {
    const [ada, bob, again, stream] = said[`chat ${model}`];
    const [message, streamed] = said[`message ${model}`];
    for (const [variant] of [ada, bob])
      expect(variant).toMatch(new RegExp(`^(stable|canary)-${index}$`));
    expect([again, stream]).toEqual([ada, ada]);
    expect(ada[1]).toBe("length");
    expect([message, streamed]).toEqual([
      [ada[0], "max_tokens"],
      [ada[0], "max_tokens"],
    ]);
  }
  expect(said.models).toEqual([...names].sort());
  expect(said.unknown).toEqual([404, "model_not_found"]);
  expect(said["unknown message"]).toEqual([404, "not_found_error"]);
}, 180_000);

it("so do their clients for Node, streaming and not", async () => {
  const openai = new OpenAI({ apiKey: "unused", baseURL: `${weir.url}/v1`, maxRetries: 0 });
  const anthropic = new Anthropic({ apiKey: "unused", baseURL: weir.url, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "hello ".repeat(100) }];
  for (const [index, model] of names.entries()) {
    // As the clients for Python do it: the model comes behind a long prompt.
    const ask = { messages, max_tokens: 4, model };
    const ofRoute = new RegExp(`^(stable|canary)-${index}$`);
    const { data, response } = await openai.chat.completions.create(ask).withResponse();
    expect(response.headers.get("x-weir-variant")).toMatch(ofRoute);
    expect(data.choices[0]?.finish_reason).toBe("length");
    const reasons: unknown[] = [];
    for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true }))
      if (chunk.choices[0]) reasons.push(chunk.choices[0].finish_reason);
    expect(reasons.at(-1)).toBe("length");
    const message = await anthropic.messages.create(ask).withResponse();
    expect(message.response.headers.get("x-weir-variant")).toMatch(ofRoute);
    expect(message.data.stop_reason).toBe("max_tokens");
    const final = await anthropic.messages.stream(ask).finalMessage();
    expect(final.stop_reason).toBe("max_tokens");
  }
  const ids: string[] = [];
  for await (const { id } of openai.models.list()) ids.push(id);
  expect(ids.sort()).toEqual([...names].sort());
  const listed: string[] = [];
  for await (const { id } of anthropic.models.list()) listed.push(id);
  expect(listed.sort()).toEqual([...names].sort());
  const unknown = { messages, max_tokens: 4, model: "unknown" };
  await expect(openai.chat.completions.create(unknown)).rejects.toThrow(NotFoundError);
  await expect(anthropic.messages.create(unknown)).rejects.toThrow(AnthropicNotFound);
}, 180_000);
