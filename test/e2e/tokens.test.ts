import { request as send } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { counted } from "./counted.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

let up: WeirUp;
let client: GatewayClient;
const host = "assistant.example.com";
const path = "/v1/chat/completions";
const acme = { host, "x-tenant-id": "acme" };

beforeAll(async () => {
  up = await weirUp(["--route", "examples/tokens/route.yaml"]);
  client = gatewayClient(up.gateway);
});
afterAll(async () => {
  client.close();
  await up.stop();
});

/** Events of a streamed completion. */
function eventsOf(body: Buffer): string[] {
  return body.toString().trimEnd().split("\n\n");
}

const metric = (name: string, ...labels: string[]) => counted(up.server, name, ...labels);
const reported = { timeout: 15_000, interval: 200 };

describe("streams through Envoy", () => {
  it("are measured by variant and tier, and pass as they are made", async () => {
    const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
    const question = {
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ content: "hello" }],
    };
    const answers = await Promise.all(
      users.map((user) => client.post(path, question, { ...acme, "x-user-id": user })),
    );
    for (const { status, body, chunkMs } of answers) {
      expect(status).toBe(200);
      expect(eventsOf(body).at(-1)).toBe("data: [DONE]");
      expect(eventsOf(body)).toHaveLength(19);
      expect(chunkMs.length).toBeGreaterThan(10);
    }
    await expect.poll(() => metric("weir_streams_total", 'end="done"'), reported).toBe(40);
    const canary = answers.filter(({ headers }) => headers["x-pod"] === "canary").length;
    const of = ['variant="canary"', 'tier="gold"'];
    expect(await metric("weir_streams_total", ...of)).toBe(canary);
    expect(await metric("weir_responses_total", 'status_class="2xx"', ...of)).toBe(canary);
    expect(await metric("weir_finishes_total", 'reason="stop"', ...of)).toBe(canary);
    expect(await metric("weir_tokens_total", 'kind="completion"', ...of)).toBe(16 * canary);
    expect(await metric("weir_time_to_first_token_seconds_count")).toBe(40);
    // 16 tokens make 15 gaps, each of 10 ms or what the machine made of them.
    expect(await metric("weir_token_gap_seconds_count")).toBe(40 * 15);
    const gap = (await metric("weir_token_gap_seconds_sum")) / (40 * 15);
    expect(gap).toBeGreaterThan(0.008);
    expect(gap).toBeLessThan(0.04);
  });

  it("become signals of the route", async () => {
    const firstTokenMs = async (): Promise<number> => {
      await client.post(path, { stream: true, messages: [] }, acme);
      const response = await fetch(`${up.server}/weir.v1.SignalService/ListSignals`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name: "assistant" }),
      });
      const { routes } = (await response.json()) as any;
      return routes[0].total.timeToFirstTokenMs.p50 ?? 0;
    };
    // The pods wait 20 ms for the first token; signals begin with the second look at the reports.
    await expect.poll(firstTokenMs, { timeout: 20_000, interval: 500 }).toBeGreaterThan(18);
    expect(await firstTokenMs()).toBeLessThan(400);
  });

  it("that lose their client are told apart from those that break off", async () => {
    const { hostname, port } = new URL(up.gateway);
    await new Promise<void>((resolve) => {
      const headers = { ...acme, "content-type": "application/json" };
      const req = send({ hostname, port, path, method: "POST", headers }, (res) => {
        res.on("error", () => {});
        res.once("data", () => req.destroy());
      });
      req.on("error", () => {});
      req.on("close", () => resolve());
      req.end(JSON.stringify({ stream: true, messages: [] }));
    });
    await expect.poll(() => metric("weir_streams_total", 'end="aborted"'), reported).toBe(1);
    expect(await metric("weir_streams_total", 'end="cut"')).toBe(0);
  });
});

describe("token limits through Envoy", () => {
  const bronze = { host, "x-tenant-id": "stranger" };
  const wordsOf = (body: Buffer) =>
    eventsOf(body).filter((event) => event.includes('"content"')).length;

  it("hide the usage that only the filter asked for, and charge it", async () => {
    // The only one of its tier, so that no other test's late report is taken for it.
    const initech = { host, "x-tenant-id": "initech" };
    const question = { stream: true, max_tokens: 4, messages: [{ content: "hello" }] };
    const { status, headers, body } = await client.post(path, question, initech);
    expect(status).toBe(200);
    expect(headers["x-ratelimit-limit-tokens"]).toBe("60000");
    expect(Number(headers["x-ratelimit-remaining-tokens"])).toBeLessThan(60_000);
    expect(headers["x-ratelimit-reset-tokens"]).toMatch(/^(\d+m)?[\d.]+m?s$/);
    // The limit on requests is told with it, although another filter holds it.
    expect(headers["x-ratelimit-limit-requests"]).toBe("80");
    expect(Number(headers["x-ratelimit-remaining-requests"])).toBeLessThan(80);
    expect(Number(headers["x-ratelimit-remaining-requests"])).toBeGreaterThan(50);
    expect(headers["x-ratelimit-reset-requests"]).toMatch(/^(\d+m)?[\d.]+m?s$/);
    expect(body.toString()).not.toContain("prompt_tokens");
    expect(eventsOf(body)).toHaveLength(4 + 2);
    expect(eventsOf(body).at(-1)).toBe("data: [DONE]");
    await expect
      .poll(() => metric("weir_tokens_total", 'kind="completion"', 'tier="silver"'), reported)
      .toBe(4);
    expect(await metric("weir_usage_total", 'source="estimated"', 'tier="silver"')).toBe(0);
  });

  it("clamp what the tenant cannot pay, and refuse when nothing is left", async () => {
    await setTokens(2000);
    const first = await client.post(path, { max_tokens: 5000, messages: [] }, bronze);
    expect(first.status).toBe(200);
    const { usage, choices } = JSON.parse(first.body.toString());
    // The pod wrote as much as it was let, of the 600 that were there.
    expect(usage.completion_tokens).toBeGreaterThan(540);
    expect(usage.completion_tokens).toBeLessThanOrEqual(600);
    expect(choices[0].message.content.length).toBeGreaterThan(0);
    const refused = await client.post(path, { max_tokens: 5, messages: [] }, bronze);
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ code: "tokens_limited" });
    expect(
      Object.keys(refused.headers).filter((name) => name.startsWith("x-ratelimit-")),
    ).toHaveLength(6);
    const retryAfter = Number(refused.headers["retry-after"]);
    expect(retryAfter).toBeGreaterThanOrEqual(1);
    // Another tier is none the worse for it.
    expect((await client.post(path, { max_tokens: 5, messages: [] }, acme)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, retryAfter * 1000));
    const later = await client.post(path, { stream: true, max_tokens: 5, messages: [] }, bronze);
    expect(later.status).toBe(200);
    expect(wordsOf(later.body)).toBe(5);
    await setTokens(16);
  }, 60_000);

  it("admit no more than a minute gives, on both workers together", async () => {
    const ask = async () => {
      const { status, body } = await client.post(path, { max_tokens: 16, messages: [] }, bronze);
      return status === 200 ? JSON.parse(body.toString()).usage.total_tokens : 0;
    };
    const start = Date.now();
    let tokens = 0;
    while (Date.now() - start < 5_000)
      for (const used of await Promise.all(Array.from({ length: 16 }, ask))) tokens += used;
    const seconds = (Date.now() - start) / 1000;
    // At most what was in the bucket and ten a second came.
    expect(tokens).toBeLessThanOrEqual(600 + 10 * seconds);
    expect(tokens).toBeGreaterThan(0);
  }, 30_000);
});

/** Tokens of the pods' answers. */
async function setTokens(tokens: number): Promise<void> {
  const route = JSON.parse(await up.weir("get", "assistant", "-o", "json"));
  for (const { endpoints } of route.spec.variants as { endpoints: string[] }[]) {
    const body = JSON.stringify({ tokens });
    expect((await fetch(`http://${endpoints[0]}/behaviour`, { method: "PUT", body })).status).toBe(
      200,
    );
  }
}
