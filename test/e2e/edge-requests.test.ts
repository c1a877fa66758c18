import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Arrived, type Backend, startBackend } from "./backend.ts";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type RawAnswer, rawRequest, sendRaw } from "./raw-client.ts";

// What a client may write, and what of it the pods see: a real Envoy, told byte by byte.

let pod: Backend;
let gateway: Gateway;
let asked = 0;

beforeAll(async () => {
  pod = await startBackend("stable");
  gateway = await startGateway();
  await gateway.apply(
    edgeRoute(pod.endpoint, {
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: {
          free: { requestsPerSecond: 1000, burst: 1000 },
          none: { requestsPerSecond: 0.0001, burst: 1 },
          small: { tokensPerMinute: 6000, requestsPerSecond: 1000, burst: 1000 },
        },
        tenants: {
          banned: "none",
          ...Object.fromEntries(spellings.map((_, i) => [`tenant-${i}`, "small"])),
        },
        default: "free",
      },
    }),
  );
  await gateway.apply({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: "tls", namespace: "inference" },
    spec: {
      hosts: ["tls.example.com"],
      service: { name: "tls", port: 8000 },
      // The pod speaks clear text.
      tls: { mode: "simple", insecureSkipVerify: true },
      variants: [
        { name: "stable", weight: 100, labels: { version: "v1" }, endpoints: [pod.endpoint] },
      ],
    },
  });
  expect((await ask("/v1/models", ["x-tenant-id: banned"])).answer.status).toBe(200);
});
afterAll(async () => {
  await gateway?.stop();
  await pod?.close();
});

/** The answer, and the request as the pod got it. */
async function ask(
  path: string,
  headers: string[] = [],
  method = "GET",
  host?: string,
  body = "",
): Promise<{ answer: RawAnswer; arrived: Arrived | undefined }> {
  const id = String(++asked);
  const lines = [...headers, `x-test: ${id}`, ...(body ? [`content-length: ${body.length}`] : [])];
  const answer = await sendRaw(gateway.url, rawRequest(path, lines, method, host) + body);
  const arrived = pod.arrived.find((each) => each.headers["x-test"] === id);
  return { answer, arrived };
}

/** As a client spells it, and as the pod gets it; a number is the gateway's own answer. */
const spellings: [string, string | number][] = [
  ["/v1/chat/completions", "/v1/chat/completions"],
  ["//v1//chat///completions", "/v1/chat/completions"],
  ["/v1/./chat/x/../completions", "/v1/chat/completions"],
  ["/v1/%2e/chat/x/%2E%2e/completions", "/v1/chat/completions"],
  ["/v1/chat%2fcompletions", "/v1/chat/completions"],
  ["/v1%2Fchat%2Fcompletions", "/v1/chat/completions"],
  ["/v1/chat%5ccompletions", "/v1/chat/completions"],
  ["/v1\\chat%5Ccompletions", "/v1/chat/completions"],
  ["/v1/x/..%2fchat%2fcompletions", "/v1/chat/completions"],
  ["/v1/%63hat/%63ompletion%73", "/v1/chat/completions"],
  ["/v1/chat/completions%2f", "/v1/chat/completions/"],
  ["/v1/chat/completions/", "/v1/chat/completions/"],
  ["/v1/chat/completions;a=b", "/v1/chat/completions;a=b"],
  ["/v1/chat/completions?a=%2f..//", "/v1/chat/completions?a=%2f..//"],
  ["/v1/chat%252fcompletions", "/v1/chat%252fcompletions"],
  ["/v1/chat/%2563ompletions", "/v1/chat/%2563ompletions"],
  ["/../../v1/chat/completions", "/v1/chat/completions"],
  ["/v1/chat/completions#fragment", 400],
  ["/v1/chat/completions%00", 400],
  ["/v1/chat/completions\xe9", 400],
  ["v1/chat/completions", 400],
];

describe("a path has one spelling, for the limits and for the pod", () => {
  it.each(spellings)("%s", async (path, expected) => {
    const body = '{"max_tokens":100000,"messages":[{"role":"user","content":"x"}]}';
    const tenant = `tenant-${spellings.findIndex(([each]) => each === path)}`;
    const headers = [`x-tenant-id: ${tenant}`, "content-type: application/json"];
    const { answer, arrived } = await ask(path, headers, "POST", undefined, body);
    if (typeof expected === "number") {
      expect(answer.status).toBe(expected);
      expect(arrived).toBeUndefined();
      return;
    }
    expect(arrived?.url).toBe(expected);
    // A pod decodes once more: what then is a completion was limited as one.
    const [decoded = ""] = decodeURIComponent(arrived?.url ?? "").split(/[?;]/);
    const isCompletion = /^\/v1\/chat\/completions\/?$/.test(decoded);
    if (isCompletion) expect(arrived?.body).not.toContain("100000");
  });
});

describe("methods that no inference server needs do not reach it", () => {
  it.each([
    ["TRACE", 405],
    ["PROPFIND", 405],
    ["CONNECT", 400],
    ["MADEUP", 400],
    ["get", 400],
  ])("%s is answered with %i", async (method, status) => {
    const { answer, arrived } = await ask("/v1/models", [], method);
    expect(answer.status).toBe(status);
    if (status === 405) expect(answer.head).toContain("allow: GET, HEAD, POST, PUT, PATCH, DELETE");
    expect(arrived).toBeUndefined();
  });

  it.each(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
    "%s does",
    async (method) => {
      const { answer, arrived } = await ask("/v1/models", [], method);
      expect(answer.status).toBe(200);
      expect(arrived?.method).toBe(method);
    },
  );
});

describe("a request with two meanings", () => {
  it.each<[string, string, number]>([
    [
      "a length and chunks",
      `${smuggled(["transfer-encoding: chunked", "content-length: 5"])}0\r\n\r\n`,
      400,
    ],
    ["two lengths", `${smuggled(["content-length: 5", "content-length: 6"])}hello!`, 400],
    ["a length with a sign", `${smuggled(["content-length: +5"])}hello`, 400],
    [
      "chunks that are then something else",
      `${smuggled(["transfer-encoding: chunked", "transfer-encoding: identity"])}0\r\n\r\n`,
      501,
    ],
    [
      "an encoding that is nearly chunks",
      `${smuggled(["transfer-encoding: xchunked"])}0\r\n\r\n`,
      501,
    ],
    ["a space before the colon", smuggled(["x-tenant-id : acme"]), 400],
    ["a NUL in a header", smuggled(["x-a: 1\0"]), 400],
    ["two hosts", smuggled(["host: other.example.com"]), 404],
    ["the same host twice", smuggled(["host: chat.example.com"]), 404],
    ["no host", "GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
    ["HTTP/1.0 without a host", "GET /v1/models HTTP/1.0\r\n\r\n", 400],
    ["HTTP/0.9", "GET /v1/models\r\n\r\n", 400],
    ["https on a clear connection", rawRequest("https://chat.example.com/v1/models"), 403],
  ])("%s does not reach the pod", async (_, text, status) => {
    const before = pod.arrived.length;
    expect((await sendRaw(gateway.url, text)).status).toBe(status);
    expect(pod.arrived).toHaveLength(before);
  });

  it("a folded header reaches the pod as one line", async () => {
    const { arrived } = await ask("/v1/models", ["x-a: 1\r\n 2"]);
    expect(arrived?.headers["x-a"]).toBe("1 2");
  });

  it("HTTP/1.0 with a host is served", async () => {
    const text = "GET /v1/models HTTP/1.0\r\nhost: chat.example.com\r\n\r\n";
    expect((await sendRaw(gateway.url, text)).status).toBe(200);
  });
});

function smuggled(headers: string[]): string {
  return rawRequest("/v1/models", headers, "POST");
}

describe("every way to write a host is the route, or none", () => {
  it.each<[string, number]>([
    ["chat.example.com", 200],
    ["CHAT.Example.com", 200],
    ["chat.example.com:10000", 200],
    ["chat.example.com.", 200],
    ["chat.example.com.:10000", 200],
    ["chat.example.com..", 404],
    ["user@chat.example.com", 404],
    ["chat.example.com@evil.example", 404],
    ["chat.example.com/x", 400],
    ["", 404],
  ])('host "%s"', async (host, status) => {
    const { answer, arrived } = await ask("/v1/models", [], "GET", host);
    expect(answer.status).toBe(status);
    expect(arrived !== undefined).toBe(status === 200);
    // Whoever is served is served by that route's limits.
    const banned = await ask("/v1/models", ["x-tenant-id: banned"], "GET", host);
    if (status === 200) expect(banned.answer.status).toBe(429);
    else expect(banned.arrived).toBeUndefined();
  });

  it.each([
    "http://chat.example.com/v1/models",
    "http://chat.example.com:8443/v1/models",
    "http://user:password@chat.example.com/v1/models",
    "http://CHAT.example.com./v1/models",
  ])("absolute form: %s", async (target) => {
    const { arrived } = await ask(target, [], "GET", "other.example.com");
    expect(arrived?.url).toBe("/v1/models");
    expect(arrived?.headers.host?.toLowerCase()).toBe("chat.example.com");
  });
});

describe("headers", () => {
  it("with an underscore are refused: programs read x_user_id as x-user-id", async () => {
    const { answer, arrived } = await ask("/v1/models", ["x_user_id: ada"]);
    expect(answer.status).toBe(400);
    expect(arrived).toBeUndefined();
  });

  it("of Envoy's own are taken from clients, who cannot change tries and timeouts", async () => {
    const own = [
      "x-envoy-retry-on: 5xx",
      "x-envoy-max-retries: 10",
      "x-envoy-upstream-rq-timeout-ms: 1",
      "x-envoy-upstream-rq-per-try-timeout-ms: 1",
      "x-envoy-expected-rq-timeout-ms: 7",
      "x-envoy-original-path: /x",
      "x-envoy-force-trace: true",
      "x-envoy-decorator-operation: op",
      "x-envoy-internal: true",
      "x-envoy-external-address: 192.0.2.9",
      "x-envoy-attempt-count: 9",
      "X-Envoy-Made-Up: 1",
    ];
    const answers = { waitMs: 100 };
    for (const forwarded of [[], ["x-forwarded-for: 10.0.0.1"]]) {
      const { answer, arrived } = await ask("/v1/models", [
        ...own,
        ...forwarded,
        `x-answer: ${JSON.stringify(answers)}`,
      ]);
      expect(answer.status).toBe(200);
      const seen = Object.keys(arrived?.headers ?? {}).filter((name) =>
        name.startsWith("x-envoy-"),
      );
      expect(seen).toEqual(["x-envoy-external-address"]);
      expect(arrived?.headers["x-envoy-external-address"]).toBe("127.0.0.1");
      expect(pod.arrived.filter(({ headers }) => headers["x-test"] === String(asked))).toHaveLength(
        1,
      );
    }
  });

  it("H1 up to 100 and 60 KiB are served, more are answered with 431", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: 1`);
    // Beside host, connection and x-test.
    expect((await ask("/v1/models", many(97))).answer.status).toBe(200);
    expect((await ask("/v1/models", many(98))).answer.status).toBe(431);
    const large = (bytes: number) => [`x-a: ${"a".repeat(bytes)}`];
    // The fake pod itself takes no more than 16 KiB: what it answers says that it was asked.
    const { answer } = await ask("/v1/models", large(59 * 1024));
    expect(answer.head).toContain("x-envoy-upstream-service-time");
    const refused = (await ask("/v1/models", large(70_000))).answer;
    expect(refused.status).toBe(431);
    expect(refused.head).not.toContain("x-envoy-upstream-service-time");
  });
});

it("an answer of the gateway's own does not tell why a pod cannot be reached", async () => {
  const { answer } = await ask("/v1/models", [], "GET", "tls.example.com");
  expect(answer).toMatchObject({ status: 503, body: "no answer from the pod\n" });
});
