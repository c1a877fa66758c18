import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

const file = `/tmp/weir-overload-${process.pid}.yaml`;
const keys = { gold: "gold-key", silver: "silver-key", bronze: "bronze-key" };
type TierName = keyof typeof keys;
let up: WeirUp;
let client: GatewayClient;

beforeAll(async () => {
  // The example, with tenants whose keys are known here and no other limit in the way.
  const route = parse(readFileSync("examples/tiers/route.yaml", "utf8"));
  const { rateLimit } = route.spec;
  rateLimit.identity = [{ header: "x-tenant-id" }];
  for (const [name, tier] of Object.entries<Record<string, unknown>>(rateLimit.tiers))
    rateLimit.tiers[name] = {
      requestsPerSecond: 1000,
      burst: 1000,
      priority: tier.priority,
      ...(tier.objective ? { objective: tier.objective } : {}),
    };
  rateLimit.tenants = Object.fromEntries(Object.keys(keys).map((tier) => [tier, tier]));
  rateLimit.tiers.slow = { requestsPerSecond: 1, burst: 1 };
  rateLimit.tenants.slow = "slow";
  delete rateLimit.concurrent;
  writeFileSync(file, stringify(route));
  up = await weirUp(["--route", file, "--concurrency", "2"], {}, 1);
  client = gatewayClient(up.gateway, 256);
});
afterAll(async () => {
  client?.close();
  await up?.stop();
  rmSync(file, { force: true });
});

async function behave(behaviour: object): Promise<void> {
  const route = JSON.parse(await up.weir("get", "chat", "-o", "json"));
  for (const { endpoints } of route.spec.variants as { endpoints: string[] }[])
    await fetch(`http://${endpoints[0]}/behaviour`, {
      method: "PUT",
      body: JSON.stringify(behaviour),
    });
}

const complete = (tier: string) =>
  client.post("/v1/chat/completions", { messages: [{ content: "x" }] }, { "x-tenant-id": tier });

/** Offers each tier `rate` requests a second for some seconds; what came of those of the last `judged`. */
async function offer(rate: number, seconds: number, judged: number) {
  const names: TierName[] = ["gold", "silver", "bronze"];
  const passed: Record<TierName, number> = { gold: 0, silver: 0, bronze: 0 };
  const refused: { retryAfter: string; code: string; type: string }[] = [];
  const strange: number[] = [];
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let sent = 0; sent < rate * seconds; sent++) {
    const dueMs = (sent / rate) * 1000;
    const waitMs = dueMs - (performance.now() - start);
    if (waitMs > 0) await sleep(waitMs);
    for (const tier of names)
      running.push(
        complete(tier).then(({ status, headers, body }) => {
          if (dueMs < (seconds - judged) * 1000) return;
          if (status === 200) passed[tier]++;
          else if (status !== 503) strange.push(status);
          else {
            const { code, type } = JSON.parse(body.toString());
            refused.push({ retryAfter: String(headers["retry-after"]), code, type });
          }
        }),
      );
  }
  await Promise.all(running);
  return { passed, refused, strange };
}

describe("pods that say they are saturated", () => {
  // Two at once, 200 ms each: at most 10 a second, however fast the machine is.
  beforeAll(() => behave({ slots: 2, firstTokenMs: 200, tokens: 1 }));
  afterAll(() => behave({ slots: 0, firstTokenMs: 20, tokens: 16 }));

  it("have the lowest tier refused first, with 503 and a time to come back", async () => {
    // 24 a second are offered for 10.
    const { passed, refused, strange } = await offer(8, 40, 25);
    expect(strange).toEqual([]);
    expect(refused.length).toBeGreaterThan(100);
    expect(passed.gold).toBeGreaterThan(passed.bronze * 3);
    expect(passed.gold).toBeGreaterThan(passed.silver);
    expect(passed.silver).toBeGreaterThan(passed.bronze);
    for (const { retryAfter, code, type } of refused) {
      expect(retryAfter).toMatch(/^([1-9]|[1-5]\d|60)$/);
      expect(code).toBe("overloaded");
      expect(type).toMatch(/#temporary-reduced-capacity$/);
    }
  });

  it("have no one refused any more once they are free", async () => {
    await behave({ slots: 0 });
    await offer(10, 12, 1);
    const { passed, refused } = await offer(10, 2, 2);
    expect(refused).toEqual([]);
    expect(passed).toEqual({ gold: 20, silver: 20, bronze: 20 });
  });

  it("keep their load from clients, who did not ask", async () => {
    const { status, headers } = await complete("gold");
    expect(status).toBe(200);
    expect(headers["endpoint-load-metrics"]).toBeUndefined();
  });
});

describe("a refusal of the pods themselves", () => {
  it.each([429, 503])("%i passes as it is and gains a Retry-After", async (status) => {
    await behave({ refuse: status });
    const answer = await complete("gold");
    await behave({ refuse: 0 });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body.toString())).toEqual({ error: { message: "not now" } });
    expect(answer.headers["retry-after"]).toMatch(/^([1-9]|[1-5]\d|60)$/);
    expect(answer.headers["x-pod"]).toBe("stable");
  });
});

describe("inference schedulers", () => {
  it("are told the verified tier and tenant, never what the client claims", async () => {
    const { headers } = await client.get("/v1/models", {
      "x-tenant-id": "gold",
      "x-llm-d-inference-objective": "critical",
      "x-gateway-inference-objective": "critical",
      "x-llm-d-inference-fairness-id": ["a", "b"],
    });
    expect(headers["x-seen-x-llm-d-inference-objective"]).toBe("interactive");
    expect(headers["x-seen-x-llm-d-inference-fairness-id"]).toBe("gold");
    expect(headers["x-seen-x-gateway-inference-objective"]).toBeUndefined();
    expect(headers["x-seen-x-weir-tier"]).toBe("gold");
  });
});

describe("the OpenAI client", () => {
  it("comes back when Retry-After says, and gets its answer", async () => {
    const seen: { status: number; retryAfterMs: number; atMs: number }[] = [];
    const openai = new OpenAI({
      apiKey: "unused",
      baseURL: `${up.gateway}/v1`,
      maxRetries: 2,
      defaultHeaders: { "x-tenant-id": "slow", host: "chat.example.com" },
      fetch: async (url, init) => {
        const headers = new Headers(init?.headers);
        const answer = await client.post(
          new URL(String(url)).pathname,
          JSON.parse(String(init?.body)),
          Object.fromEntries(headers),
        );
        seen.push({
          status: answer.status,
          retryAfterMs: Number(answer.headers["retry-after"] ?? 0) * 1000,
          atMs: performance.now(),
        });
        return new Response(answer.body.toString(), {
          status: answer.status,
          headers: Object.entries(answer.headers).map(([k, v]): [string, string] => [k, String(v)]),
        });
      },
    });
    const ask = () =>
      openai.chat.completions.create({ model: "tiny", messages: [{ role: "user", content: "x" }] });
    await ask();
    const answer = await ask();
    expect(answer.choices[0]?.finish_reason).toBe("stop");
    expect(seen.map(({ status }) => status)).toEqual([200, 429, 200]);
    const [, refused, admitted] = seen;
    const waitedMs = (admitted?.atMs ?? 0) - (refused?.atMs ?? 0);
    expect(refused?.retryAfterMs).toBeGreaterThanOrEqual(1000);
    expect(waitedMs).toBeGreaterThanOrEqual((refused?.retryAfterMs ?? 0) - 5);
    expect(waitedMs).toBeLessThan((refused?.retryAfterMs ?? 0) + 1000);
  });

  it("says why it was refused, in the service's own words", async () => {
    const openai = new OpenAI({
      apiKey: "unused",
      baseURL: `${up.gateway}/v1`,
      maxRetries: 0,
      fetch: async (_url, init) => {
        const answer = await client.post("/v1/chat/completions", JSON.parse(String(init?.body)), {
          "x-tenant-id": "slow",
        });
        return new Response(answer.body.toString(), { status: answer.status });
      },
    });
    const ask = () =>
      openai.chat.completions.create({ model: "tiny", messages: [{ role: "user", content: "x" }] });
    const errors = await Promise.all([ask(), ask(), ask()].map((each) => each.catch((e) => e)));
    const error = errors.find((each) => each instanceof OpenAI.RateLimitError);
    expect(error?.message).toContain("request limit of tier slow reached");
    expect(error?.code).toBe("rate_limited");
  });
});
