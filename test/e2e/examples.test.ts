import { afterEach, describe, expect, it } from "vitest";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

// The examples that no other suite runs, as their README says.

let up: WeirUp;
let client: GatewayClient;

async function run(example: string, pods: number): Promise<void> {
  up = await weirUp(["--route", `examples/${example}/route.yaml`], {}, pods);
  client = gatewayClient(up.gateway);
}
afterEach(async () => {
  client?.close();
  await up?.stop();
});

describe("the example of", () => {
  it("a shadow copies about a quarter of the team's requests, and no one else's", async () => {
    await run("shadow", 2);
    const copies = async () => {
      const stats = await fetch(`${up.admin}/stats?filter=next.*upstream_rq_total`);
      return Number(/upstream_rq_total: (\d+)/.exec(await stats.text())?.[1] ?? 0);
    };
    const host = "assistant.example.com";
    const question = { model: "tiny", messages: [{ role: "user", content: "hello" }] };
    const ask = async (headers: Record<string, string>) =>
      (await client.post("/v1/chat/completions", question, { host, ...headers })).status;
    for (let i = 0; i < 20; i++) expect(await ask({ "x-traffic-tag": "mine" })).toBe(200);
    expect(await copies()).toBe(0);
    for (let i = 0; i < 80; i++) expect(await ask({ "x-team": "search" })).toBe(200);
    // 20 of 80 on average; outside of these bounds once in a million runs.
    await expect.poll(copies, { timeout: 10_000 }).toBeGreaterThanOrEqual(4);
    expect(await copies()).toBeLessThanOrEqual(42);
  });

  it("many models on one host gives each request to the route of its model", async () => {
    await run("models", 5);
    const ask = async (model: string) => {
      const question = { messages: [{ role: "user", content: "hello" }], model };
      const headers = { host: "models.example.com", authorization: "Bearer sk-1" };
      return (await client.post("/v1/chat/completions", question, headers)).status;
    };
    const models = ["gpt-4o-mini", "qwen-coder", "gpt-5", "qwen-7b", "qwen-7b", "qwen-7b"];
    const answers = [];
    for (const model of models) answers.push(await ask(model));
    expect(answers).toEqual([200, 200, 404, 200, 200, 429]);
    const { body } = await client.get("/v1/models", { host: "models.example.com" });
    expect(JSON.parse(body.toString()).data).toHaveLength(3);
  });

  it("compression gives vectors in the encoding that the client likes best", async () => {
    await run("compression", 1);
    const ask = async (headers: Record<string, string>) => {
      const question = { model: "tiny", input: "hello" };
      const answer = await client.post("/v1/embeddings", question, {
        host: "vectors.example.com",
        ...headers,
      });
      expect(answer.status).toBe(200);
      return answer.headers["content-encoding"];
    };
    expect(await ask({ "accept-encoding": "zstd, gzip;q=0.5" })).toBe("zstd");
    expect(await ask({ "accept-encoding": "gzip" })).toBe("gzip");
    expect(await ask({ "accept-encoding": "br" })).toBeUndefined();
    expect(await ask({ "accept-encoding": "gzip", cookie: "session=1" })).toBeUndefined();
  });
});
