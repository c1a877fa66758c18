import { type ClientRequest, request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

const path = "/v1/chat/completions";
const places = 12;
/** A quarter of the places. */
const part = 3;

let pods: Record<string, Pod>;
let gateway: Gateway;
let client: GatewayClient;

beforeAll(async () => {
  pods = {
    stable: await startPod("stable", "127.0.0.1", 0),
    canary: await startPod("canary", "127.0.0.1", 0),
  };
  gateway = await startGateway();
  const weights: Record<string, number> = { stable: 90, canary: 10 };
  await gateway.apply({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      variants: Object.entries(pods).map(([name, { port }]) => ({
        name,
        weight: weights[name],
        endpoints: [`127.0.0.1:${port}`],
      })),
      canary: { stickyBy: [{ header: "x-user-id" }] },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { gold: { requestsPerSecond: 100_000, burst: 100_000, concurrent: places } },
        tenants: { acme: "gold", globex: "gold" },
        default: "gold",
        variantPercent: 25,
      },
    },
  });
  client = gatewayClient(gateway.url, 64);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  for (const pod of Object.values(pods ?? {})) await pod.close();
});

const behave = (name: string, behaviour: object) =>
  fetch(`http://127.0.0.1:${pods[name]?.port}/behaviour`, {
    method: "PUT",
    body: JSON.stringify(behaviour),
  });

/** Users of a tenant by the variant that they are on. */
async function usersOf(tenant: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = { stable: [], canary: [] };
  for (let i = 0; i < 200; i++) {
    const user = `${tenant}-${i}`;
    const headers = { "x-tenant-id": tenant, "x-user-id": user };
    const answer = await client.get("/v1/models", headers);
    expect(answer.status).toBe(200);
    found[String(answer.headers["x-pod"])]?.push(user);
  }
  return found;
}

/** A completion that waits for its answer; the status is 0 as long as there is none. */
interface Asked {
  status: number;
  request: ClientRequest;
}

function start(tenant: string, user: string): Asked {
  const { hostname, port } = new URL(gateway.url);
  const headers = { host: "chat.example.com", "x-tenant-id": tenant, "x-user-id": user };
  const options = { host: hostname, port, agent: false, method: "POST", path, headers };
  const asked: Asked = { status: 0, request: request(options) };
  asked.request.on("error", () => {});
  asked.request.on("response", (res) => {
    asked.status = res.statusCode ?? 0;
    res.on("error", () => {});
    res.resume();
  });
  asked.request.end("{}");
  return asked;
}

/** Starts completions of these users, by turns. */
const startMany = (count: number, tenant: string, users: string[]) =>
  Array.from({ length: count }, (_, i) => start(tenant, users[i % users.length] ?? ""));
const counts = (asked: Asked[]) => ({
  waiting: asked.filter(({ status }) => status === 0).length,
  refused: asked.filter(({ status }) => status === 429).length,
});

describe("a canary that hangs", () => {
  beforeAll(() => behave("canary", { hangRate: 1 }));

  it("holds its part of a tenant's places, and stable's users have the rest of them", async () => {
    const users = await usersOf("acme");
    // One answer of stable's takes its time, so that every worker sees that stable is used.
    await behave("stable", { firstTokenMs: 120_000 });
    const [user = ""] = users.stable ?? [];
    const before = pods.stable?.served.get(path) ?? 0;
    const slow = start("acme", user);
    await expect.poll(() => pods.stable?.served.get(path), { timeout: 30_000 }).toBe(before + 1);
    await behave("stable", { firstTokenMs: 20 });
    const hung = startMany(20, "acme", users.canary ?? []);
    await expect
      .poll(() => counts(hung), { timeout: 30_000 })
      .toEqual({ waiting: part, refused: 20 - part });
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(
        Array.from({ length: places - part - 1 }, (_, i) =>
          client.post(
            path,
            {},
            { "x-tenant-id": "acme", "x-user-id": users.stable?.[i % users.stable.length] },
          ),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(places - part - 1).fill(200));
      // It holds a place until it is refused, and one that races for the last place may be refused as well.
      const late = start("acme", users.canary?.[0] ?? "");
      await expect.poll(() => late.status, { timeout: 30_000 }).toBe(429);
      hung.push(late);
    }
    await expect
      .poll(() => counts(hung), { timeout: 30_000 })
      .toEqual({ waiting: part, refused: 40 - part });
    for (const { request } of [slow, ...hung]) request.destroy();
  });

  it("takes all places of a tenant whose users are all on it", async () => {
    await behave("canary", { hangRate: 0, tokens: 1 });
    const users: string[] = [];
    for (let i = 0; users.length < 3; i++) {
      // Each probe is of a tenant of its own, so that this one uses no other variant.
      const headers = { "x-tenant-id": "stranger", "x-user-id": `globex-${i}` };
      const answer = await client.get("/v1/models", headers);
      if (answer.headers["x-pod"] === "canary") users.push(`globex-${i}`);
    }
    await behave("canary", { hangRate: 1 });
    const hung = startMany(20, "globex", users);
    await expect
      .poll(() => counts(hung), { timeout: 30_000 })
      .toEqual({ waiting: places, refused: 20 - places });
    for (const { request } of hung) request.destroy();
  });
});
