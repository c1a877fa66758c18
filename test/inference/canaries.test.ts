import { afterAll, beforeAll, expect, it } from "vitest";
import { clientsOf } from "../api/clients.ts";
import { rolloutOf } from "../rollout/world.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { startTap } from "./tap.ts";

/** Canaries by name, and the words with which they go back. */
const canaries = [
  ["slowed", /^(first-token|token-gap) p50 fail: canary /],
  ["failing", /^success-rate fail: canary 0\.00 %, stable 100 %/],
] as const;
// Small samples and wide limits: the machine may be slow, and the faults are plain.
const spec = {
  steps: [{ weight: 50 }, { weight: 100 }],
  hold: "2s",
  bake: "2s",
  analysis: {
    minimumSample: 40,
    checks: [
      { metric: "success-rate", tolerance: 10 },
      { metric: "first-token", percentile: 50, tolerance: 100 },
      { metric: "token-gap", percentile: 50, tolerance: 100 },
    ],
  },
};

let models: Models;
let weir: BehindWeir;
const llamas: Llama[] = [];
const undo: (() => unknown)[] = [];
let over = false;
let users: Promise<unknown>;

/** Users who stream answers one after the other, each with a name of its own. */
async function use(name: string): Promise<void> {
  const body = {
    stream: true,
    messages: [{ role: "user", content: "Tell me about rivers. ".repeat(40) }],
    max_tokens: 12,
    temperature: 0,
    ignore_eos: true,
    cache_prompt: false,
  };
  for (let user = 0; !over; user++) {
    const headers = { host: hostOf(name), "x-tenant-id": "acme", "x-user-id": `user-${user}` };
    await weir.client.post("/v1/chat/completions", body, headers).catch(() => {
      // What a failing pod does.
    });
  }
}

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  const [stable, slow] = [await startLlama(models.fast), await startLlama(models.slow)];
  llamas.push(stable, slow);
  // A pod whose server is gone: what stands before it cuts every request.
  const gone = await startTap("127.0.0.1:1");
  undo.push(() => gone.close());
  const endpoints = { slowed: slow.endpoint, failing: gone.endpoint };
  await weir.apply(
    ...canaries.map(([name]) =>
      inferenceRoute(name, { stable: stable.endpoint, canary: endpoints[name] }),
    ),
  );
  users = Promise.all(canaries.flatMap(([name]) => [use(name), use(name), use(name)]));
  const { rollouts } = clientsOf(weir.server);
  for (const [name] of canaries) {
    const rollout = rolloutOf(spec);
    Object.assign(rollout.metadata ?? {}, { name });
    await rollouts.startRollout({ rollout, reason: "new weights" });
  }
});
afterAll(async () => {
  over = true;
  await users;
  await weir?.stop();
  for (const each of undo) each();
  for (const llama of llamas) await llama.stop();
  models?.remove();
});

it.each(canaries)(
  "a %s canary goes back, and says why",
  async (name, why) => {
    const { rollouts } = clientsOf(weir.server);
    const state = async () => (await rollouts.getRollout({ name })).progress?.state;
    const patience = { timeout: 240_000, interval: 500 };
    await expect.poll(async () => (await state())?.phase, patience).toBe("rolled-back");
    expect((await state())?.reason).toMatch(why);
  },
  300_000,
);
