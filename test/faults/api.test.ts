import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { clampTimeout, createRate } from "../../control/api/limits.ts";
import { sha256Hex } from "../../control/auth/index.ts";
import { AuditService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { exampleRoute } from "../route/documents.ts";

const example = exampleRoute();
let server: ControlServer;
let base: string;
beforeAll(async () => {
  server = await startQuietServer();
  base = urlOf(server);
});
afterAll(() => server.close());

const service = "/weir.v1.RouteService";
const post = (
  path: string,
  body: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : new Uint8Array(body),
  });

describe("A1: what is no call of the API", () => {
  it.each<[string, () => Promise<Response>, number, string]>([
    ["an unknown method", () => post(`${service}/Nothing`, "{}"), 404, ""],
    ["an unknown service", () => post("/weir.v1.Nothing/Get", "{}"), 404, ""],
    ["an unknown field", () => post(`${service}/GetRoute`, '{"nmae":"x"}'), 400, "nmae"],
    ["a value of another type", () => post(`${service}/GetRoute`, '{"name":[]}'), 400, "name"],
    [
      "a wrong content type",
      () => post(`${service}/GetRoute`, "{}", { "content-type": "text/html" }),
      415,
      "",
    ],
    ["GET for a change", () => fetch(`${base}${service}/DeleteRoute`), 405, ""],
  ])("%s is answered, never with an internal error", async (_name, send, status, says) => {
    const response = await send();
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(says);
  });
});

it.each([
  ["text/html", 415],
  ["application/grpcish", 415],
  ["", 415],
  ["application/grpc", 200],
  ["application/grpc+proto", 200],
])("A1: a stream of xDS with the content type %j is answered with %d", async (type, status) => {
  const session = connect(`http://127.0.0.1:${server.xds.port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    ...(type === "" ? {} : { "content-type": type }),
  });
  const answered = await new Promise((resolve, reject) => {
    stream.on("response", (headers) => resolve(headers[":status"]));
    stream.on("error", reject);
  });
  // What follows an event of a stream runs below nghttp2 otherwise.
  setImmediate(() => session.destroy());
  expect(answered).toBe(status);
});

describe("A2: what inflates or is too much", () => {
  const bomb = Buffer.alloc(64 << 20, " ");
  const gzip = gzipSync(bomb);
  const fast = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
  const brotli = brotliCompressSync(bomb, fast);
  it.each<[string, () => Promise<Response>]>([
    ["64 MiB in gzip", () => post(`${service}/GetRoute`, gzip, { "content-encoding": "gzip" })],
    ["64 MiB in brotli", () => post(`${service}/GetRoute`, brotli, { "content-encoding": "br" })],
    ["5 MiB as they are", () => post(`${service}/GetRoute`, Buffer.alloc(5 << 20, " "))],
    [
      "a million hosts",
      () =>
        post(
          `${service}/PlanRoute`,
          JSON.stringify({ route: { spec: { hosts: Array(1e6).fill("a") } } }),
        ),
    ],
  ])("%s is refused as more than is allowed, before memory is spent on it", async (_name, send) => {
    const before = process.memoryUsage().rss;
    const response = await send();
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ code: "resource_exhausted" });
    // The bomb itself was made in this process; the server's share must not come near its size again.
    expect(process.memoryUsage().rss - before).toBeLessThan(48 << 20);
  });
});

describe("A6: deadlines", () => {
  it.each([
    ["of nothing", "0", [200, 408, 504]],
    ["of a negative time", "-1", [400]],
    ["that is a word", "soon", [400]],
    ["of more digits than there are", "9".repeat(30), [200, 400]],
    ["of ten thousand years", "315360000000000", [200]],
  ])(
    "%s are taken as what they are or cut, never an internal error",
    async (_name, timeout, statuses) => {
      const response = await post(`${service}/ListRoutes`, "{}", { "connect-timeout-ms": timeout });
      await response.text();
      expect(statuses).toContain(response.status);
    },
  );
  it.each(["99999999H", "0m", "-1S", "5x"])("over gRPC of %s end in a status", async (timeout) => {
    const response = await post(`${service}/ListRoutes`, Buffer.alloc(5), {
      "content-type": "application/grpc-web+proto",
      "grpc-timeout": timeout,
    });
    const text = await response.text();
    expect(response.status).toBe(200);
    expect(`${text}${response.headers.get("grpc-status")}`).not.toMatch(/grpc-status: ?(13|2)\b/);
  });
});

it.each([
  ["connect-timeout-ms", "315360000000000", "3600000"],
  ["connect-timeout-ms", "3600000", "3600000"],
  ["connect-timeout-ms", "1", "1"],
  ["grpc-timeout", "87600000H", "3600000m"],
  ["grpc-timeout", "2H", "3600000m"],
  ["grpc-timeout", "59M", "59M"],
])("A6: deadlines beyond an hour are cut to an hour: %s %s", (name, given, taken) => {
  const headers = { [name]: given };
  clampTimeout(headers);
  expect(headers).toEqual({ [name]: taken });
});

describe("A7: the same request again", () => {
  it("makes one step and one audit entry, also when the first answer was lost", async () => {
    const transport = createConnectTransport({ baseUrl: base, httpVersion: "1.1" });
    const routes = createClient(RouteService, transport);
    await routes.applyRoute({ route: example });
    const shift = { name: "chat", weights: { canary: 33 }, reason: "once" };
    const lost = new AbortController();
    const first = routes.shiftWeights(shift, { signal: lost.signal }).catch(() => "lost");
    setImmediate(() => lost.abort());
    await first;
    for (let i = 0; i < 3; i++) await routes.shiftWeights(shift);
    const { entries } = await createClient(AuditService, transport).listAudit({ name: "chat" });
    expect(entries.filter(({ reason }) => reason === "once")).toHaveLength(1);
  });
});

it("a principal that calls in a loop is told 429 by the service, and another one is served", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-rate-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const access = join(directory, "access.yaml");
  const tokens = ["loop", "other"].map((name) => ({
    name,
    sha256: sha256Hex(name),
    role: "viewer",
  }));
  writeFileSync(access, JSON.stringify({ tokens }));
  const own = await startQuietServer({ access });
  onTestFinished(() => own.close());
  const call = async (name: string) => {
    const headers = { authorization: `Bearer ${name}` };
    return (await fetch(`${urlOf(own)}${service}/Nothing`, { method: "POST", headers })).status;
  };
  // A machine that is busy would not get to the rate: no time passes but what is told.
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const admitted: number[] = [];
  for (let i = 0; i < 9; i++)
    admitted.push(...(await Promise.all(Array.from({ length: 50 }, () => call("loop")))));
  expect(admitted.filter((status) => status === 404)).toHaveLength(400);
  expect(admitted.filter((status) => status === 429)).toHaveLength(50);
  expect(await call("other")).toBe(404);
  vi.advanceTimersByTime(10);
  expect([await call("loop"), await call("loop")]).toEqual([404, 404]);
  expect(await call("loop")).toBe(429);
});

it("a principal that calls in a loop is slowed to its rate, others are not", () => {
  let nowMs = 0;
  const rate = createRate(10, () => nowMs);
  const admitted = (who: string, calls: number) =>
    Array.from({ length: calls }, () => rate.admits(who)).filter(Boolean).length;
  expect(admitted("loop", 100)).toBe(20);
  expect(admitted("other", 5)).toBe(5);
  nowMs += 1000;
  expect(admitted("loop", 100)).toBe(10);
});
