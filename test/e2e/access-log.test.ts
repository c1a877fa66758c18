import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "./backend.ts";
import { tenantRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { rawRequest, sendRaw } from "./raw-client.ts";

const secrets = ["key-in-the-query", "key-in-a-header", "key-of-anthropic", "cookie-of-someone"];
const directory = mkdtempSync(join(tmpdir(), "weir-access-log-"));
const file = join(directory, "access.log");
let pod: Backend;
let gateway: Gateway;

const route = () => tenantRoute(pod.endpoint);

beforeAll(async () => {
  pod = await startBackend("stable");
  gateway = await startGateway({ edge: { accessLog: file } });
  await gateway.apply(route());
});
afterAll(async () => {
  await gateway?.stop();
  await pod?.close();
  rmSync(directory, { recursive: true });
});

type Line = Record<string, unknown>;
const lines = (): Line[] =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];

/** Sends a request and waits for its line, which Envoy writes within ten seconds. */
async function lineOf(path: string, headers: string[], body = "", host?: string): Promise<Line> {
  const length = body === "" ? [] : [`content-length: ${body.length}`];
  const method = body === "" ? "GET" : "POST";
  await sendRaw(gateway.url, rawRequest(path, [...headers, ...length], method, host) + body);
  const asked = path.split("?")[0];
  const find = () => lines().find((line) => line["url.path"] === asked);
  await expect.poll(find, { timeout: 30_000 }).toBeDefined();
  return find() ?? {};
}

describe("a line of the access log", () => {
  it("tells who asked for what, who answered, and how long it took", async () => {
    const answer = `x-answer: ${JSON.stringify({ bytes: 1000, waitMs: 20 })}`;
    const line = await lineOf("/v1/served", ["x-tenant-id: acme", answer], "0123456789");
    expect(line).toMatchObject({
      "http.request.method": "POST",
      "server.address": "chat.example.com",
      "client.address": "127.0.0.1",
      "http.response.status_code": 200,
      "http.request.body.size": 10,
      "http.response.body.size": 1000,
      "weir.route": "inference/chat",
      "weir.variant": "stable",
      "weir.pod": pod.endpoint,
      "weir.tenant": "acme",
      "weir.tier": "gold",
      "weir.request_id": expect.stringMatching(/^[0-9a-f-]{36}$/),
      "envoy.response_code_details": "via_upstream",
    });
    expect(line["weir.duration_ms"]).toBeGreaterThanOrEqual(
      line["weir.time_to_first_byte_ms"] as number,
    );
    expect(Date.parse(String(line.timestamp))).toBeGreaterThan(0);
  });

  it("has no variant and no tenant of a request that was refused, whatever it claims", async () => {
    const claims = ["x-weir-tenant: acme", "x-weir-tier: gold", "x-weir-variant: stable"];
    const line = await lineOf("/v1/refused", claims);
    expect(line).toMatchObject({
      "http.response.status_code": 429,
      "weir.route": "inference/chat",
      "envoy.response_code_details": "weir_rate_limited",
    });
    for (const field of ["weir.tenant", "weir.tier", "weir.variant", "weir.pod"])
      expect(line).not.toHaveProperty([field]);
  });

  it("has no route of a host that no route has", async () => {
    const line = await lineOf("/v1/unknown", ["x-weir-tenant: acme"], "", "other.example.com");
    expect(line).toMatchObject({ "http.response.status_code": 404, "envoy.response_flags": "NR" });
    expect(line).not.toHaveProperty(["weir.route"]);
    expect(line).not.toHaveProperty(["weir.tenant"]);
  });

  it("has no credentials and no query", async () => {
    const [query, bearer, key, cookie] = secrets;
    await lineOf(`/v1/secret?api_key=${query}`, [
      "x-tenant-id: acme",
      `authorization: Bearer ${bearer}`,
      `x-api-key: ${key}`,
      `cookie: session=${cookie}`,
    ]);
    const text = readFileSync(file, "utf8");
    expect(pod.arrived.at(-1)?.url).toContain(query);
    expect([...secrets, "api_key"].filter((secret) => text.includes(secret))).toEqual([]);
  });
});

it("a gateway that logs to its standard output serves", async () => {
  const other = await startGateway({ edge: { accessLog: "stdout" } });
  try {
    await other.apply(route());
    const request = rawRequest("/v1/models", ["x-tenant-id: acme"]);
    expect((await sendRaw(other.url, request)).status).toBe(200);
    const dump = await (await fetch(`${other.admin}/config_dump`)).text();
    expect(dump).toContain("envoy.access_loggers.stdout");
  } finally {
    await other.stop();
  }
});
