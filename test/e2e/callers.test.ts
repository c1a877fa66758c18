import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type Answer, type GatewayClient, gatewayClient } from "./gateway-client.ts";

const host = "models.example.com";
const page = "https://app.example.com";
const digest = (key: string) => `sha256:${createHash("sha256").update(key).digest("hex")}`;

let pod: Pod;
let gateway: Gateway;
let client: GatewayClient;

/** A route whose tiers may use it or not. */
const routeOf = (name: string, tiers: object, members: object) => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name, namespace: "inference" },
  spec: {
    ...members,
    variants: [{ name: "stable", weight: 100, endpoints: [`127.0.0.1:${pod.port}`] }],
    rateLimit: {
      identity: [{ apiKey: true }],
      tiers,
      tenants: { [digest("key-acme")]: "gold", [digest("key-zeta")]: "free" },
      default: "free",
      unknownCaller: "refuse",
    },
  },
});

beforeAll(async () => {
  pod = await startPod("stable", "127.0.0.1", 0);
  gateway = await startGateway();
  const gold = { requestsPerSecond: 1000 };
  const forbidden = { forbidden: true };
  const model = (exact: string) => ({ hosts: [host], match: [{ model: { exact } }] });
  await gateway.apply(
    routeOf("small", { gold, free: { requestsPerSecond: 1000 } }, model("small")),
    routeOf("large", { gold, free: forbidden }, model("large")),
    routeOf(
      "chat",
      { gold, free: forbidden },
      {
        hosts: ["chat.example.com"],
        cors: { allowOrigins: [page] },
        except: [{ path: "/metrics" }],
      },
    ),
  );
  client = gatewayClient(gateway.url);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await pod?.close();
});

/** Refusals of the large model by their status, as its clients saw them. */
const refused: Record<number, number> = { 401: 0, 403: 0 };

async function chat(model: string, headers = {}): Promise<Answer> {
  const body = { model, messages: [{ role: "user", content: "hello" }], max_tokens: 1 };
  const answer = await client.post("/v1/chat/completions", body, { host, ...headers });
  if (model === "large") refused[answer.status] = (refused[answer.status] ?? 0) + 1;
  return answer;
}
const codeIn = ({ body }: Answer) => JSON.parse(body.toString()).error.code;

describe("two models on one host of a plain Envoy, for known callers", () => {
  it.each([
    ["key-acme", "small", 200],
    ["key-acme", "large", 200],
    ["key-zeta", "small", 200],
    ["key-zeta", "large", 403],
    ["key-none", "small", 401],
    ["key-none", "large", 401],
  ])("%s and the model %s get %i", async (key, model, status) => {
    const before = pod.served.get("/v1/chat/completions") ?? 0;
    const answer = await chat(model, { authorization: `Bearer ${key}` });
    expect(answer.status).toBe(status);
    expect(pod.served.get("/v1/chat/completions") ?? 0).toBe(before + (status === 200 ? 1 : 0));
  });

  it("are refused with what a client needs to know", async () => {
    const unknown = await chat("small");
    expect(unknown.status).toBe(401);
    expect(unknown.headers["www-authenticate"]).toBe('Bearer realm="weir"');
    expect(unknown.headers["content-type"]).toBe("application/problem+json");
    expect(codeIn(unknown)).toBe("unauthenticated");
    const forbidden = await chat("large", { "x-api-key": "key-zeta" });
    expect(forbidden.status).toBe(403);
    expect(forbidden.headers).not.toHaveProperty("www-authenticate");
    expect(codeIn(forbidden)).toBe("forbidden");
  });

  it("are counted by what refused them", async () => {
    const counted = async () => {
      const text = await (await fetch(`${gateway.admin}/stats?filter=weir_`)).text();
      const of = (name: string) =>
        Number(new RegExp(`large.*${name}_total: (\\d+)`).exec(text)?.[1] ?? 0);
      return [of("unauthenticated"), of("forbidden")];
    };
    await chat("large");
    await chat("large", { "x-api-key": "key-zeta" });
    await expect.poll(counted, { timeout: 10_000 }).toEqual([refused[401], refused[403]]);
  });
});

it("lets pass what no limit holds for: what is excepted, and the questions of browsers", async () => {
  const preflight = { origin: page, "access-control-request-method": "POST" };
  const asked = await client.send("OPTIONS", "/v1/chat/completions", preflight);
  expect(asked.headers["access-control-allow-origin"]).toBe(page);
  expect((await client.get("/metrics")).status).toBe(200);
  const refused = await client.post("/v1/chat/completions", {}, { origin: page });
  expect(refused.status).toBe(401);
  // A page can read why.
  expect(refused.headers["access-control-allow-origin"]).toBe(page);
  expect((await client.get("/metrics/more")).status).toBe(401);
});
