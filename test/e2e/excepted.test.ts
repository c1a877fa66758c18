import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "./backend.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

let pod: Backend;
let gateway: Gateway;
let client: GatewayClient;
const page = "https://app.example.com";
const host = "chat.example.com";

beforeAll(async () => {
  pod = await startBackend("stable");
  gateway = await startGateway();
  client = gatewayClient(gateway.url);
  const none = { requestsPerSecond: 1000, concurrent: 0 };
  await gateway.apply({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "chat", namespace: "inference" },
    spec: {
      hosts: [host],
      server: "vllm",
      variants: [{ name: "stable", weight: 100, endpoints: [pod.endpoint] }],
      // Whatever is limited is refused.
      rateLimit: { identity: [{ header: "x-tenant-id" }], tiers: { none }, default: "none" },
      except: [{ path: "/v1/models*" }, { path: "/status", methods: ["GET"] }],
      cors: { allowOrigins: [page], exposeHeaders: ["x-backend"] },
      tellVariant: true,
    },
  });
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await pod?.close();
});

const asked = (method: string, path: string, headers = {}) => client.send(method, path, headers);

describe("requests that no limit holds for", () => {
  it.each([
    ["GET", "/health"],
    ["HEAD", "/healthz"],
    ["GET", "/v2/health/ready?x=1"],
    ["GET", "/ping"],
    ["GET", "/v1/models"],
    ["GET", "/v1/models/org/name"],
    ["GET", "/status"],
  ])("%s %s is passed on", async (method, path) => {
    const answer = await asked(method, path, { "x-weir-tenant": "acme", "x-shadow-mode": "true" });
    expect(answer.status).toBe(200);
    expect(answer.headers["x-weir-variant"]).toBe("stable");
    // What clients may not claim reaches no pod this way, either.
    const { headers } = pod.arrived.at(-1) ?? { headers: {} };
    expect(headers).not.toHaveProperty("x-weir-tenant");
    expect(headers).not.toHaveProperty("x-shadow-mode");
  });

  it.each([
    ["POST", "/health"],
    ["GET", "/health/deep"],
    ["GET", "/healthzz"],
    ["GET", "//health/../v1/chat"],
    ["HEAD", "/status"],
    ["POST", "/v1/models"],
    ["POST", "/v1/chat/completions"],
    ["OPTIONS", "/v1/chat/completions"],
  ])("%s %s is not one of them", async (method, path) => {
    expect((await asked(method, path)).status).toBe(429);
  });
});

describe("pages of other origins", () => {
  const preflight = {
    origin: page,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
  };

  it("ask beforehand as often as they like", async () => {
    const before = pod.arrived.length;
    for (let i = 0; i < 40; i++) {
      const { headers, status } = await asked("OPTIONS", "/v1/chat/completions", preflight);
      expect(status).toBe(200);
      expect(headers["access-control-allow-origin"]).toBe(page);
      expect(headers["access-control-allow-headers"]).toContain("authorization");
    }
    // Envoy answers, not the pod.
    expect(pod.arrived.length).toBe(before);
  });

  it("can read when to come back from a refusal", async () => {
    const { headers, status } = await asked("POST", "/v1/chat/completions", { origin: page });
    expect(status).toBe(429);
    expect(headers["access-control-allow-origin"]).toBe(page);
    const exposed = String(headers["access-control-expose-headers"]).split(",");
    expect(exposed).toEqual(expect.arrayContaining(["retry-after", "ratelimit", "x-backend"]));
  });

  it("that nobody named are told nothing", async () => {
    const origin = "https://app.example.com.evil.example";
    const { headers } = await asked("POST", "/v1/chat/completions", { origin });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    const asks = { ...preflight, origin };
    // It goes on to the pod as any preflight does, and the pod says nothing of it.
    const answer = await asked("OPTIONS", "/v1/chat/completions", asks);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("are pages: what has no origin is no preflight, and no way round limits", async () => {
    const { origin: _, ...asks } = preflight;
    expect((await asked("OPTIONS", "/v1/chat/completions", asks)).status).toBe(429);
  });

  it("may send what callers are told apart by", async () => {
    const { headers } = await asked("OPTIONS", "/v1/chat/completions", preflight);
    expect(String(headers["access-control-allow-headers"]).split(",")).toContain("x-tenant-id");
  });

  it("are not let in by a pod that lets every page in, as llama.cpp does", async () => {
    const evil = "https://evil.example";
    const all = {
      "access-control-allow-origin": evil,
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": "*",
      "access-control-allow-methods": "*",
      "access-control-expose-headers": "*",
      "access-control-max-age": "99",
    };
    const allowed = async (method: string, path: string, more: object) => {
      const answering = { "x-answer": JSON.stringify({ headers: all }) };
      const { headers, status } = await asked(method, path, { ...answering, ...more });
      expect(status).toBe(200);
      return Object.keys(headers).filter((name) => name.startsWith("access-control"));
    };
    expect(await allowed("GET", "/v1/models", { origin: evil })).toEqual([]);
    expect(await allowed("GET", "/v1/models", {})).toEqual([]);
    expect(
      await allowed("OPTIONS", "/v1/chat/completions", { ...preflight, origin: evil }),
    ).toEqual([]);
    const { headers } = await asked("GET", "/v1/models", {
      "x-answer": JSON.stringify({ headers: all }),
      origin: page,
    });
    expect(headers).toMatchObject({ "access-control-allow-origin": page });
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  });
});
