import { request as send } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { type WeirUp, weirUp } from "./weir-up.ts";

let up: WeirUp;
let client: GatewayClient;
const host = "assistant.example.com";
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

async function traffic(): Promise<Record<string, any>> {
  const status = JSON.parse(await up.weir("status", "assistant", "-o", "json"));
  return Object.fromEntries((status.traffic ?? []).map((each: any) => [each.variant, each]));
}

describe("streams through Envoy", () => {
  it("are measured by variant, and pass as they are made", async () => {
    const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
    const answers = await Promise.all(
      users.map((user) =>
        client.post(
          "/v1/chat/completions",
          {
            stream: true,
            stream_options: { include_usage: true },
            messages: [{ content: "hello" }],
          },
          { ...acme, "x-user-id": user },
        ),
      ),
    );
    for (const { status, body, chunkMs } of answers) {
      expect(status).toBe(200);
      expect(eventsOf(body).at(-1)).toBe("data: [DONE]");
      expect(eventsOf(body)).toHaveLength(19);
      expect(chunkMs.length).toBeGreaterThan(10);
    }
    await expect
      .poll(
        async () => {
          const { stable, canary } = await traffic();
          return Number(stable?.streams?.responses ?? 0) + Number(canary?.streams?.responses ?? 0);
        },
        { timeout: 15_000 },
      )
      .toBe(40);
    for (const { streams } of Object.values(await traffic())) {
      expect(streams.errorRatio ?? 0).toBe(0);
      expect(streams.cutRatio ?? 0).toBe(0);
      // The pods wait 20 ms for the first token and 10 ms for each further one.
      expect(streams.timeToFirstTokenP50Ms).toBeGreaterThan(18);
      expect(streams.timeToFirstTokenP50Ms).toBeLessThan(200);
      expect(streams.tokenGapP50Ms).toBeGreaterThan(5);
      expect(streams.tokenGapP50Ms).toBeLessThan(40);
      expect(streams.tokensPerSecondP50).toBeGreaterThan(20);
      expect(Number(streams.completionTokens)).toBe(16 * Number(streams.responses));
    }
  });

  it("that break off, fail or lose their client are told apart", async () => {
    const before = await traffic();
    const abort = new Promise<void>((resolve, reject) => {
      const { hostname, port } = new URL(up.gateway);
      const headers = { ...acme, "content-type": "application/json", "x-user-id": "user-1" };
      const req = send(
        { hostname, port, path: "/v1/chat/completions", method: "POST", headers },
        (res) => {
          res.once("data", () => {
            req.destroy();
            resolve();
          });
          res.on("error", () => {});
        },
      );
      req.on("error", reject);
      req.end(JSON.stringify({ stream: true, messages: [] }));
    });
    await abort.catch(() => {});
    await expect
      .poll(
        async () =>
          Object.values(await traffic()).reduce(
            (sum, { streams }) => sum + Number(streams?.responses ?? 0),
            0,
          ),
        {
          timeout: 15_000,
        },
      )
      .toBeGreaterThan(
        Object.values(before).reduce(
          (sum, { streams }) => sum + Number(streams?.responses ?? 0),
          0,
        ),
      );
    for (const { streams } of Object.values(await traffic())) expect(streams.cutRatio ?? 0).toBe(0);
  });
});
