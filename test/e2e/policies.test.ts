import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { arrivalConfig, filterConfigText, parseRoute } from "../../control/route/index.ts";
import { type Backend, startBackend } from "./backend.ts";
import { type Gateway, startGateway, startPlainEnvoy } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

type PlainEnvoy = Awaited<ReturnType<typeof startPlainEnvoy>>;

const backends: Record<string, Backend> = {};
let gateway: Gateway;
let client: GatewayClient;
/** The sidecar of the shadow's pods: a real Envoy with the arrival configuration. */
let sidecar: PlainEnvoy;

beforeAll(async () => {
  for (const name of ["stable", "canary", "next"]) backends[name] = await startBackend(name);
  const spec = mirrored({ tag: "next_2024", baggage: true });
  spec.shadow.arrival = { selector: { app: "llm" } };
  const [route] = parseRoute(document("arrival", spec)).routes;
  const config = route && arrivalConfig(route);
  if (config === undefined) throw new Error("the route is not right");
  sidecar = await startPlainEnvoy(
    [wasmFilter("build/weir-full.wasm", filterConfigText(config))],
    { cluster: "pod" },
    { pod: endpointOf("next") },
  );
  gateway = await startGateway();
  client = gatewayClient(gateway.url);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await sidecar?.envoy.stop();
  for (const backend of Object.values(backends)) await backend.close();
});

const backend = (name: string) => backends[name] as Backend;
const endpointOf = (name: string) => backend(name).endpoint;

function wasmFilter(file: string, configuration: string): object {
  const wasm = {
    name: "weir",
    root_id: "weir",
    failure_policy: "FAIL_RELOAD",
    vm_config: {
      runtime: "envoy.wasm.runtime.v8",
      code: { local: { filename: file } },
    },
    configuration: {
      "@type": "type.googleapis.com/google.protobuf.StringValue",
      value: configuration,
    },
  };
  return {
    name: "weir",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
      config: wasm,
    },
  };
}

function document(name: string, spec: object): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "test" },
    spec: { hosts: [`${name}.example.com`], service: { name: "llm", port: 8000 }, ...spec },
  };
}

const rateLimit = {
  identity: [{ header: "x-tenant-id" }],
  tiers: {
    gold: { requestsPerSecond: 100_000 },
    scarce: { requestsPerSecond: 0.01, burst: 5 },
  },
  tenants: { acme: "gold", poor: "scarce", tester: "gold" },
  default: "gold",
};

function mirrored(shadow: object): any {
  return {
    variants: [
      { name: "stable", weight: 100, endpoints: [endpointOf("stable")] },
      { name: "next", weight: 0, endpoints: [endpointOf("next")] },
    ],
    shadow: { variant: "next", percent: 100, tag: "t", ...shadow },
  };
}

function canary(weight: number, policy: object): any {
  return {
    variants: [
      { name: "stable", weight: 100 - weight, endpoints: [endpointOf("stable")] },
      { name: "canary", weight, endpoints: [endpointOf("canary")] },
    ],
    canary: { stickyBy: [{ header: "x-user-id" }], ...policy },
    rateLimit,
  };
}

/** What reached a backend with this path, once something did. */
async function arrivals(name: string, path: string, atLeast = 1) {
  const found = () => backend(name).arrived.filter(({ url }) => url === path);
  const deadline = Date.now() + 3000;
  while (found().length < atLeast && Date.now() < deadline) await sleep(10);
  return found();
}
/** Copies for the route's shadow that Envoy has under way or in its queue. */
async function openCopies(route: string): Promise<number> {
  const filter = `cluster.test/${route}/next.upstream_rq_(active|pending_active)$`;
  const stats = await (await fetch(`${gateway.admin}/stats?filter=${filter}`)).text();
  const values = [...stats.matchAll(/: (\d+)/g)].map(([, value]) => Number(value));
  expect(values).toHaveLength(2);
  return values.reduce((sum, value) => sum + value, 0);
}
const get = (host: string, path: string, headers: Record<string, string> = {}) =>
  client.send("GET", path, { host: `${host}.example.com`, ...headers });
const post = (host: string, path: string, bytes: number, headers: Record<string, string> = {}) =>
  client.send("POST", path, { host: `${host}.example.com`, ...headers }, "x".repeat(bytes));

describe("a mirror", () => {
  beforeAll(async () => {
    await gateway.apply(document("mirror", mirrored({ maxBodyBytes: 1000, baggage: true })));
  });

  it("is a copy with its tag, without a canary as well", async () => {
    const { status, headers } = await get("mirror", "/copied", { baggage: "a=1" });
    expect(status).toBe(200);
    expect(headers["x-backend"]).toBe("stable");
    const [copy] = await arrivals("next", "/copied");
    expect(copy?.headers).toMatchObject({
      "x-shadow-mode": "true",
      "x-traffic-tag": "t",
      baggage: "a=1,weir.shadow=t",
    });
  });

  it("B23 is not made of a body over the cap, nor of one of unknown length", async () => {
    expect((await post("mirror", "/at-the-cap", 1000)).status).toBe(200);
    expect((await post("mirror", "/over-the-cap", 1001)).status).toBe(200);
    const chunked = { "transfer-encoding": "chunked" };
    expect((await post("mirror", "/chunked", 10, chunked)).status).toBe(200);
    const [copy] = await arrivals("next", "/at-the-cap");
    expect(copy?.bodyBytes).toBe(1000);
    expect(
      (await arrivals("stable", "/over-the-cap"))[0]?.headers["x-shadow-mode"],
    ).toBeUndefined();
    // What comes later has arrived: so would have what came before.
    expect((await post("mirror", "/after-them", 10)).status).toBe(200);
    expect(await arrivals("next", "/after-them")).toHaveLength(1);
    expect(backend("next").arrived.map(({ url }) => url)).not.toContain("/over-the-cap");
    expect(backend("next").arrived.map(({ url }) => url)).not.toContain("/chunked");
  });

  it("B22 does not slow down or fail the request when the shadow does", async () => {
    const usual = await median("/quick-before");
    backend("next").usual.waitMs = 1000;
    const slowed = await median("/quick-while");
    backend("next").usual.waitMs = 0;
    backend("next").usual.status = 500;
    const failing = await get("mirror", "/failing");
    backend("next").usual.status = 200;
    expect(failing.status).toBe(200);
    expect(slowed - usual).toBeLessThan(100);
  });
  it("takes less by itself when the shadow cannot keep up", async () => {
    await gateway.apply(document("slow", mirrored({ maxInFlight: 5 })));
    const waitMs = 3000;
    backend("next").usual.waitMs = waitMs;
    const start = performance.now();
    const answers = await Promise.all(Array.from({ length: 60 }, () => get("slow", "/slow")));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const copies = await arrivals("next", "/slow", 5);
    // A slow machine may take longer for the sixty than the shadow for one.
    const rounds = Math.ceil((performance.now() - start) / waitMs);
    await expect.poll(() => openCopies("slow"), { timeout: 30_000 }).toBe(0);
    backend("next").usual.waitMs = 0;
    // Five at once, and as many that wait for one of the five connections.
    expect(copies.length).toBeLessThanOrEqual(5 * rounds);
    expect((await arrivals("next", "/slow")).length).toBeLessThanOrEqual(10 * rounds);
    expect(await arrivals("stable", "/slow", 60)).toHaveLength(60);
  });
  async function median(path: string): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      expect((await get("mirror", path)).status).toBe(200);
      times.push(performance.now() - start);
    }
    return times.sort((a, b) => a - b)[10] ?? 0;
  }
});

const json = { "content-type": "application/json" };
const completions = "/v1/chat/completions";
/** Counting tokens needs another chain of filters, which only new connections have. */
let fresh: GatewayClient;
const complete = (host: string, query: string, body: object, headers: Record<string, string>) =>
  fresh.send(
    "POST",
    `${completions}?${query}`,
    { host: `${host}.example.com`, ...json, ...headers },
    JSON.stringify(body),
  );
/** What a pod was asked for. */
async function askedFor(name: string, query: string) {
  const [arrived] = await arrivals(name, `${completions}?${query}`);
  const body = arrived?.body ?? "{}";
  expect(arrived?.bodyBytes).toBe(Number(arrived?.headers["content-length"]));
  return JSON.parse(body);
}
const limitedTokens = {
  ...rateLimit,
  tiers: {
    gold: { requestsPerSecond: 1000, burst: 1000, tokensPerMinute: 60_000 },
    scarce: { requestsPerSecond: 1000, tokensPerMinute: 120 },
  },
};

it("B8 a request of HTTP/1.0 is served, with or without keep-alive", async () => {
  const { hostname, port } = new URL(gateway.url);
  for (const more of ["", "connection: keep-alive\r\n"]) {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), hostname, () =>
        socket.write(`GET /old HTTP/1.0\r\nhost: mirror.example.com\r\n${more}\r\n`),
      );
      socket.once("data", (bytes) => {
        resolve(bytes.toString("latin1"));
        socket.destroy();
      });
      socket.once("error", reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.[01] 200 /);
    expect(answer.toLowerCase()).toContain("x-backend: stable");
  }
});

describe("what shadow requests may ask for", () => {
  beforeEach(() => {
    fresh = gatewayClient(gateway.url);
  });
  afterEach(() => fresh.close());

  it("is less for a copy, while the request itself has what it asks for", async () => {
    const spec = { ...mirrored({ maxTokens: 32, percent: 100 }), rateLimit: limitedTokens };
    await gateway.apply(document("clamped", spec));
    const acme = { "x-tenant-id": "acme" };
    const question = { max_tokens: 5000, messages: [{ role: "user", content: "hello" }] };
    const first = await complete("clamped", "copied", question, acme);
    expect(first.status).toBe(200);
    expect(await askedFor("stable", "copied")).toEqual(question);
    expect(await askedFor("next", "copied")).toEqual({ ...question, max_tokens: 32 });
    // The copy's tokens are nobody's: what is left of a minute's 60,000 is what one request took.
    const left = Number(first.headers["x-ratelimit-remaining-tokens"]);
    expect(left).toBeGreaterThan(54_900);
    await complete("clamped", "silent", { stream: true, messages: [] }, acme);
    expect(await askedFor("next", "silent")).toMatchObject({ max_tokens: 32, stream: true });
    // Where a budget holds, no answer is without a maximum: what is reserved for it.
    expect((await askedFor("stable", "silent")).max_tokens).toBe(1024);
  });

  it("is less for a diverted one, which no tenant's tokens are charged for", async () => {
    const shadow = { mode: "divert", percent: 0, from: ["tester"], tier: "scarce", maxTokens: 32 };
    const spec = { ...mirrored(shadow), rateLimit: limitedTokens };
    await gateway.apply(document("diverted", spec));
    const tester = { "x-tenant-id": "tester" };
    const test = { ...tester, "x-shadow-mode": "true", "x-traffic-tag": "load-test" };
    // A prompt of 30 tokens.
    const question = { max_tokens: 500, messages: [{ content: "four".repeat(30) }] };
    const left = async () => {
      const { headers } = await complete("diverted", "own", question, tester);
      return Number(headers["x-ratelimit-remaining-tokens"]);
    };
    const before = await left();
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++)
      statuses.push((await complete("diverted", "tested", question, test)).status);
    expect(await askedFor("next", "tested")).toEqual({ ...question, max_tokens: 32 });
    // Their own 120 tokens go; the tester's 60,000 stay.
    expect(statuses[0]).toBe(200);
    expect(statuses).toContain(429);
    expect(await left()).toBeGreaterThan(before - 1000);
    expect(await askedFor("stable", "own")).toEqual(question);
  });
});

describe("arrival at the shadow's own pods", () => {
  /** An Envoy that mirrors as Istio does for a plain `mirror:`, with no filter of Weir's. */
  let stranger: PlainEnvoy;
  let strangers: GatewayClient;
  const mirrors = (suffix: boolean) =>
    startPlainEnvoy(
      [],
      {
        cluster: "pod",
        request_mirror_policies: [
          { cluster: "shadow", disable_shadow_host_suffix_append: !suffix },
        ],
      },
      { pod: endpointOf("stable"), shadow: new URL(sidecar.url).host },
    );
  it.each([
    ["with the host's suffix", true, "mirror.example.com-shadow"],
    ["without any mark", false, "mirror.example.com"],
  ])("recognises a copy that came %s", async (_name, suffix, host) => {
    stranger = await mirrors(suffix);
    strangers = gatewayClient(stranger.url);
    const path = `/unmarked-${suffix}`;
    await strangers.send("GET", path, { host: "mirror.example.com", "x-weir-tenant": "acme" });
    const [copy] = await arrivals("next", path);
    expect(copy?.headers).toMatchObject({
      host,
      "x-shadow-mode": "true",
      "x-traffic-tag": "next_2024",
      "x-weir-tier": "shadow",
      baggage: "weir.shadow=next_2024",
    });
    expect(copy?.headers["x-weir-tenant"]).toBeUndefined();
    strangers.close();
    await stranger.envoy.stop();
  });

  it("keeps the tag that the gateway gave", async () => {
    const through = gatewayClient(sidecar.url);
    await through.send("GET", "/marked", {
      host: "mirror.example.com",
      "x-shadow-mode": "true",
      "x-traffic-tag": "load-test",
      "x-weir-variant": "stable",
    });
    const [copy] = await arrivals("next", "/marked");
    expect(copy?.headers).toMatchObject({
      "x-traffic-tag": "load-test",
      "x-weir-variant": "stable",
    });
    through.close();
  });
});

describe("diverted requests", () => {
  beforeAll(async () => {
    const shadow = { mode: "divert", percent: 0, from: ["tester", "poor"], tier: "scarce" };
    await gateway.apply(document("divert", { ...mirrored(shadow), rateLimit }));
  });
  const tagged = { "x-shadow-mode": "true", "x-traffic-tag": "load-test" };

  it("go to the shadow variant, and are charged to no tenant but to a limit of their own", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 8; i++)
      statuses.push(
        (await get("divert", "/diverted", { ...tagged, "x-tenant-id": "tester" })).status,
      );
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect(await arrivals("next", "/diverted", 5)).toHaveLength(5);
    // The bucket is empty, for this tenant's tests as for others'; their own is full.
    const poor = { "x-tenant-id": "poor" };
    expect((await get("divert", "/diverted", { ...tagged, ...poor })).status).toBe(429);
    const own = await get("divert", "/own", poor);
    expect(own.status).toBe(200);
    expect(own.headers["x-backend"]).toBe("stable");
  });

  it("cannot be had by anyone else", async () => {
    const { headers } = await get("divert", "/spoofed", { ...tagged, "x-tenant-id": "acme" });
    expect(headers["x-backend"]).toBe("stable");
  });
});

describe("a canary", () => {
  const users = Array.from({ length: 200 }, (_, i) => `user-${i}`);
  async function variants(host: string, headersOf: (user: string) => Record<string, string>) {
    const answers = await Promise.all(users.map((user) => get(host, "/v1/chat", headersOf(user))));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    return answers.map(({ headers }) => headers["x-backend"]);
  }
  const share = (all: unknown[]) => all.filter((each) => each === "canary").length / all.length;

  it("keeps a conversation where it began through a shift, and sends new ones by the new weights", async () => {
    const kept = (weight: number) => document("kept", canary(weight, { conversations: {} }));
    await gateway.apply(kept(10));
    const session = (user: string) => ({ "x-session-id": `session-${user}` });
    const before = await variants("kept", session);
    await gateway.apply(kept(70));
    expect(await variants("kept", session)).toEqual(before);
    const fresh = await variants("kept", (user) => ({ "x-session-id": `fresh-${user}` }));
    expect(share(before)).toBeLessThan(0.2);
    expect(share(fresh)).toBeGreaterThan(0.55);
    // A roll-back takes everyone along.
    await gateway.apply(kept(0));
    expect(share(await variants("kept", session))).toBe(0);
  });

  it("is one for all users of a tenant, and pins hold against the weights", async () => {
    const policy = { stickyBy: [{ tenant: true }], pin: { poor: "canary" } };
    const spec = canary(10, policy);
    spec.rateLimit = {
      ...rateLimit,
      tiers: { ...rateLimit.tiers, scarce: { requestsPerSecond: 1e5 } },
    };
    await gateway.apply(document("tenants", spec));
    const of = (tenant: string) =>
      variants("tenants", (user) => ({ "x-tenant-id": tenant, "x-user-id": user }));
    expect(new Set(await of("acme")).size).toBe(1);
    expect(share(await of("poor"))).toBe(1);
  });
});
