import { afterAll, beforeAll, expect, it } from "vitest";
import { clientsOf } from "../api/clients.ts";
import { type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";
import { rolloutOf } from "../rollout/world.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";
import { startTap } from "./tap.ts";

// Small samples and wide limits: the machine may be slow, and the faults are plain.
const times = [
  { metric: "success-rate", tolerance: 10 },
  { metric: "first-token", percentile: 50, tolerance: 100 },
  { metric: "token-gap", percentile: 50, tolerance: 100 },
];
/** Canaries by name: the words with which they go back, what is checked, and how many use them. */
const canaries: Record<string, { why: RegExp; checks?: object[]; users: number; route?: object }> =
  {
    slowed: { why: /^(first-token|token-gap) p50 fail: canary /, checks: times, users: 3 },
    failing: {
      why: /^success-rate fail: canary 0\.00 %, stable 100 %/,
      checks: times,
      users: 3,
    },
    // Its context is shorter than what users ask: 400, which is no failure of a server.
    small: { why: /^refusals fail: canary 100 %, stable 0\.00 %/, users: 3 },
    // It takes requests and says nothing more; what has begun is never cut, so users wait.
    hanging: {
      why: /^hangs over (4|8)s fail: canary /,
      users: 120,
      route: { resilience: { firstByteTimeout: "60s" } },
    },
  };
const names = Object.keys(canaries);

let models: Models;
let weir: BehindWeir;
/** As many connections as there are users: whoever waits keeps no one else from asking. */
let client: GatewayClient;
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
    await client.post("/v1/chat/completions", body, headers).catch(() => {
      // What a failing pod does.
    });
  }
}

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  client = gatewayClient(weir.url, 200);
  const stable = await startLlama(models.fast);
  const slow = await startLlama(models.slow);
  const small = await startLlama(models.fast, { n_ctx: 64, n_parallel: 1 });
  const frozen = await startLlama(models.fast);
  frozen.freeze();
  llamas.push(stable, slow, small, frozen);
  // A pod whose server is gone: what stands before it cuts every request.
  const gone = await startTap("127.0.0.1:1");
  undo.push(() => gone.close());
  const endpoints: Record<string, string> = {
    slowed: slow.endpoint,
    failing: gone.endpoint,
    small: small.endpoint,
    hanging: frozen.endpoint,
  };
  await weir.apply(
    ...names.map((name) =>
      inferenceRoute(
        name,
        { stable: stable.endpoint, canary: endpoints[name] ?? "" },
        canaries[name]?.route,
      ),
    ),
  );
  users = Promise.all(
    names.flatMap((name) => Array.from({ length: canaries[name]?.users ?? 0 }, () => use(name))),
  );
  const { rollouts } = clientsOf(weir.server);
  for (const name of names) {
    const { checks } = canaries[name] ?? {};
    const rollout = rolloutOf({
      steps: [{ weight: 50 }, { weight: 100 }],
      hold: "2s",
      bake: "2s",
      analysis: { minimumSample: checks ? 40 : 20, ...(checks ? { checks } : {}) },
    });
    Object.assign(rollout.metadata ?? {}, { name });
    await rollouts.startRollout({ rollout, reason: "new weights" });
  }
});
afterAll(async () => {
  over = true;
  client?.close();
  await users;
  await weir?.stop();
  for (const each of undo) each();
  for (const llama of llamas) await llama.stop();
  models?.remove();
});

it.each(Object.entries(canaries))(
  "a %s canary goes back, and says why",
  async (name, { why }) => {
    const { rollouts } = clientsOf(weir.server);
    const state = async () => (await rollouts.getRollout({ name })).progress?.state;
    const patience = { timeout: 240_000, interval: 500 };
    await expect.poll(async () => (await state())?.phase, patience).toBe("rolled-back");
    expect((await state())?.reason).toMatch(why);
  },
  300_000,
);
