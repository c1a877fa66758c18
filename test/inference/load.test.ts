import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { counted } from "../e2e/counted.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";

const path = "/v1/chat/completions";
const soon = { timeout: 20_000, interval: 200 };
let models: Models;
let weir: BehindWeir;
/** Works on two answers at once; 300 tokens take it most of a second. */
let llama: Llama;
let shadow: Llama;

const limited = {
  identity: [{ header: "x-tenant-id" }],
  tiers: {
    two: { requestsPerSecond: 1000, concurrent: 2 },
    budget: { requestsPerSecond: 1000, tokensPerMinute: 600 },
  },
  tenants: { couple: "two", saver: "budget" },
  default: "two",
};

/** Whoever comes has a budget. */
const savers = [
  "prompts",
  "promptsstreamed",
  "promptsinitsownwords",
  "promptsstreamedinitsownwords",
];
const several = {
  ...limited,
  tenants: Object.fromEntries(
    [...savers, "choices", "choicesstreamed"].map((name) => [`saver-${name}`, "budget"]),
  ),
};

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  llama = await startLlama(models.slow, { n_parallel: 2 });
  shadow = await startLlama(models.fast);
  const stable = { stable: llama.endpoint };
  const mirror = { variant: "next", percent: 100, tag: "next_2026", maxTokens: 5 };
  await weir.apply(
    inferenceRoute("plain", stable),
    inferenceRoute("limited", stable, { rateLimit: limited }),
    inferenceRoute("budget", { stable: shadow.endpoint }, { rateLimit: limited }),
    inferenceRoute("several", { stable: shadow.endpoint }, { rateLimit: several }),
    inferenceRoute("packed", stable, {
      compression: { algorithms: ["gzip"], minBytes: 256, secrets: "never" },
    }),
    inferenceRoute("copied", { ...stable, next: shadow.endpoint }, { shadow: mirror }),
  );
});
afterAll(async () => {
  await weir?.stop();
  await llama?.stop();
  await shadow?.stop();
  models?.remove();
});

const question = (tokens: number, more: object = {}) => ({
  messages: [{ role: "user", content: "hello" }],
  max_tokens: tokens,
  temperature: 0,
  ignore_eos: true,
  ...more,
});
const ask = (name: string, tenant: string, body: object, headers: object = {}) =>
  weir.client.post(path, body, { host: hostOf(name), "x-tenant-id": tenant, ...headers });

/** Opens a stream and hangs up at its first byte. */
function leave(name: string, tokens: number): Promise<void> {
  const { hostname, port } = new URL(weir.url);
  const headers = { host: hostOf(name), "content-type": "application/json" };
  return new Promise((resolve) => {
    const req = request({ hostname, port, path, method: "POST", headers }, (res) => {
      res.on("error", () => {});
      res.once("data", () => req.destroy());
    });
    req.on("error", () => {});
    req.on("close", () => resolve());
    req.end(JSON.stringify(question(tokens, { stream: true })));
  });
}

describe("the first token", () => {
  it("is measured where the client sees it, and streams come event by event", async () => {
    const users = Array.from({ length: 6 }, (_, i) => i);
    const waits: number[] = [];
    for (const user of users) {
      // Long and never the same, so that the server has to read all of it.
      const content = `${user} `.repeat(200);
      const messages = [{ role: "user", content }];
      const body = question(8, { stream: true, messages, cache_prompt: false });
      const { chunkMs, status } = await ask("plain", "acme", body);
      expect(status).toBe(200);
      expect(chunkMs.length).toBeGreaterThan(4);
      waits.push(chunkMs[0] ?? 0);
    }
    const metric = (part: string) =>
      counted(weir.server, `weir_time_to_first_token_seconds_${part}`, 'route="inference/plain"');
    await expect.poll(() => metric("count"), soon).toBe(users.length);
    const meanMs = waits.reduce((all, each) => all + each, 0) / users.length;
    const measuredMs = ((await metric("sum")) / users.length) * 1000;
    expect(Math.abs(measuredMs - meanMs)).toBeLessThan(Math.max(1, meanMs / 10));
  }, 120_000);
});

describe("a client that leaves", () => {
  it("ends the work of the server, and is told from a stream that breaks", async () => {
    await leave("plain", 900);
    await expect.poll(async () => (await llama.counters()).processing, soon).toBe(0);
    const ended = (how: string) => counted(weir.server, "weir_streams_total", `end="${how}"`);
    await expect.poll(() => ended("aborted"), soon).toBe(1);
    expect(await ended("cut")).toBe(0);
    const { predictedTokens: before } = await llama.counters();
    await ask("plain", "acme", question(3));
    // Of the 900 it made none any more.
    expect((await llama.counters()).predictedTokens - before).toBeLessThan(10);
  });
});

describe("a limit on what is in flight", () => {
  it("keeps the server's own queue empty, and gives each place back", async () => {
    const upper = { deferred: 0, processing: 0 };
    let over = false;
    const watching = (async () => {
      while (!over) {
        const { deferred, processing } = await llama.counters();
        upper.deferred = Math.max(upper.deferred, deferred);
        upper.processing = Math.max(upper.processing, processing);
      }
    })();
    const asked = Array.from({ length: 8 }, () => ask("limited", "couple", question(200)));
    const answers = (await Promise.all(asked)).map(({ status }) => status);
    over = true;
    await watching;
    expect(answers.filter((status) => status === 200)).toHaveLength(2);
    expect(answers.filter((status) => status === 429)).toHaveLength(6);
    expect(upper).toEqual({ deferred: 0, processing: 2 });
    await leave("limited", 900);
    const again = async () => (await ask("limited", "couple", question(1))).status;
    await expect.poll(again, soon).toBe(200);
  });

  it("is what keeps it short: without it the server queues without an answer", async () => {
    const asked = Array.from({ length: 6 }, () => ask("plain", "acme", question(200)));
    await expect.poll(async () => (await llama.counters()).deferred, soon).toBeGreaterThan(1);
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
  });
});

describe("a budget of tokens", () => {
  const prompts = Array.from({ length: 18 }, () => "hello");
  const completions = "/v1/completions";
  it.each([
    ["prompts", completions, { prompt: prompts, max_tokens: 20 }],
    ["prompts, streamed", completions, { prompt: prompts, max_tokens: 20, stream: true }],
    ["prompts in its own words", "/completion", { prompt: prompts, n_predict: 20 }],
    [
      "prompts, streamed, in its own words",
      "/completion",
      { prompt: prompts, n_predict: 20, stream: true },
    ],
    ["choices", path, { n: 4, ...question(60) }],
    ["choices, streamed", path, { n: 4, ...question(60, { stream: true }) }],
  ])(
    "holds for several %s, by what the server wrote",
    async (name, at, body) => {
      // A tenant of its own for each, so that each has the whole budget.
      const tenant = `saver-${name.replaceAll(/[^a-z]/g, "")}`;
      const headers = { host: hostOf("several"), "x-tenant-id": tenant };
      const { predictedTokens: before } = await shadow.counters();
      let refused = 0;
      for (let i = 0; i < 60 && refused < 5; i++) {
        const { status } = await weir.client.post(at, { ...body, ignore_eos: true }, headers);
        expect([200, 429]).toContain(status);
        if (status === 429) refused++;
      }
      expect(refused).toBe(5);
      const wrote = (await shadow.counters()).predictedTokens - before;
      expect(wrote).toBeGreaterThan(100);
      // Its 600, and what a minute gives meanwhile.
      expect(wrote).toBeLessThan(900);
    },
    120_000,
  );

  it("lowers what is asked for to what is left, and refuses when nothing is", async () => {
    const { predictedTokens: before } = await shadow.counters();
    let used = 0;
    const begin = Date.now();
    for (;;) {
      const { body, status } = await ask("budget", "saver", question(900));
      const answer = JSON.parse(body.toString());
      if (status === 429) {
        expect(answer.code).toBe("tokens_limited");
        break;
      }
      expect(status).toBe(200);
      expect(answer.choices[0].finish_reason).toBe("length");
      expect(answer.usage.completion_tokens).toBeLessThanOrEqual(600);
      used += answer.usage.completion_tokens;
    }
    // A minute's worth, and what came back meanwhile.
    expect(used).toBeGreaterThan(400);
    expect(used).toBeLessThanOrEqual(600 + (10 * (Date.now() - begin)) / 1000);
    expect((await shadow.counters()).predictedTokens - before).toBe(used);
  });
});

describe("compression", () => {
  it("packs JSON and leaves streams as they are", async () => {
    const packed = await ask("packed", "acme", question(40), { "accept-encoding": "gzip" });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    const stream = question(4, { stream: true });
    const { headers, body } = await ask("packed", "acme", stream, { "accept-encoding": "gzip" });
    expect(headers["content-encoding"]).toBeUndefined();
    expect(body.toString()).toContain("data: [DONE]");
  });
});

describe("a shadow", () => {
  it("runs each copy once, as short as the route says, and its answer goes to no one", async () => {
    const before = await shadow.counters();
    for (let i = 0; i < 4; i++) {
      const { body } = await ask("copied", "acme", question(20));
      expect(JSON.parse(body.toString()).usage.completion_tokens).toBe(20);
    }
    const made = async () => (await shadow.counters()).predictedTokens - before.predictedTokens;
    await expect.poll(made, soon).toBe(4 * 5);
  });
});
