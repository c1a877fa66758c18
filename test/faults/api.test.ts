import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRate } from "../../control/api/limits.ts";
import { AuditService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/server.ts";
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
