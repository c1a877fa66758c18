import { execFile } from "node:child_process";
import { promisify } from "node:util";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { inferencePython, type Llama, type Models, startLlama, writeModels } from "./llama.ts";

const run = promisify(execFile);
let models: Models;
let llama: Llama;
let weir: BehindWeir;

const plenty = { requestsPerSecond: 1000, tokensPerMinute: 1_000_000 };
const rateLimit = {
  identity: [{ header: "x-tenant-id" }],
  tiers: { plenty, none: { requestsPerSecond: 1000, tokensPerMinute: 0 } },
  tenants: { acme: "plenty", none: "none" },
  default: "plenty",
};

beforeAll(async () => {
  models = writeModels();
  llama = await startLlama(models.fast);
  weir = await startBehindWeir();
  // Clients that cannot name another host than the one they call.
  const hosts = [hostOf("clients"), "127.0.0.1"];
  await weir.apply(inferenceRoute("clients", { stable: llama.endpoint }, { rateLimit, hosts }));
});
afterAll(async () => {
  await weir?.stop();
  await llama?.stop();
  models?.remove();
});

it("OpenAI's and Anthropic's clients for Python read every answer to its end", async () => {
  const args = ["test/inference/clients.py", weir.url, hostOf("clients")];
  const { stdout } = await run(inferencePython(), args, { timeout: 150_000 });
  expect(JSON.parse(stdout)).toEqual({
    chat: ["length", 8],
    "chat stream": ["length", 8],
    "chat stream without usage": ["length", 0],
    response: ["completed", 8],
    "response stream": ["response.completed", 8],
    "embedding that the server lacks": 501,
    refusal: [429, "tokens_limited", true],
    message: ["max_tokens", 8],
    "message stream": ["max_tokens", 8],
    count: true,
  });
}, 180_000);

it("OpenAI's client for Node does so too", async () => {
  const openai = new OpenAI({ apiKey: "unused", baseURL: `${weir.url}/v1`, maxRetries: 0 });
  const ask = {
    model: "tiny",
    max_tokens: 8,
    messages: [{ role: "user" as const, content: "hello" }],
  };
  const { choices, usage } = await openai.chat.completions.create(ask);
  expect([choices[0]?.finish_reason, usage?.completion_tokens]).toEqual(["length", 8]);
  const reasons: unknown[] = [];
  for await (const chunk of await openai.chat.completions.create({ ...ask, stream: true })) {
    // Its timings come in an event without a choice, once the usage in it was taken out.
    if (chunk.choices[0]) reasons.push(chunk.choices[0].finish_reason);
    expect(chunk.usage ?? null).toBeNull();
  }
  expect(reasons.at(-1)).toBe("length");
});
