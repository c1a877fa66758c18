import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { EdgeOptions } from "../../control/xds/index.ts";
import { type Backend, startBackend } from "./backend.ts";
import { type Collector, startCollector } from "./collector.ts";
import { tenantRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { rawRequest, sendRaw } from "./raw-client.ts";

let pod: Backend;
beforeAll(async () => {
  pod = await startBackend("stable");
});
afterAll(() => pod?.close());

const forwarding = () => tenantRoute(pod.endpoint);

const parent = "0af7651916cd43dd8448eb211c80319c";
const given = `traceparent: 00-${parent}-b7ad6b7169203331-01`;

/** Starts a gateway that traces all requests, and a collector for it. */
async function start(
  protocol: "http" | "grpc",
  edge: EdgeOptions = {},
): Promise<{ collector: Collector; gateway: Gateway }> {
  const collector = await startCollector(protocol);
  const path = protocol === "http" ? "/v1/traces" : "";
  const gateway = await startGateway({
    edge: {
      ...edge,
      traces: {
        collector: { host: "127.0.0.1", port: collector.port, protocol, path },
        percent: 100,
        serviceName: "edge-of-the-test",
      },
    },
  });
  await gateway.apply(forwarding());
  return { collector, gateway };
}

/** The trace that the pod was told of, and the export that has it. */
async function traced({ exports }: Collector): Promise<{ id: string; path: string; body: Buffer }> {
  const id = String(pod.arrived.at(-1)?.headers.traceparent).split("-")[1] ?? "";
  const find = () => exports.find(({ body }) => body.includes(Buffer.from(id, "hex")));
  await expect.poll(find, { timeout: 30_000 }).toBeDefined();
  return { id, ...(find() ?? { path: "", body: Buffer.alloc(0) }) };
}

const missing = (body: Buffer, texts: string[]) => texts.filter((text) => !body.includes(text));

describe.each([
  ["http", "/v1/traces"],
  ["grpc", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"],
] as const)("spans over %s", (protocol, exportPath) => {
  let collector: Collector;
  let gateway: Gateway;
  beforeAll(async () => {
    ({ collector, gateway } = await start(protocol));
  });
  afterAll(async () => {
    await gateway?.stop();
    await collector?.close();
  });

  it("tell the route, the variant and the caller, and the pod knows the trace", async () => {
    await sendRaw(gateway.url, rawRequest("/v1/models", ["x-tenant-id: acme"]));
    const { body, path } = await traced(collector);
    expect(path).toBe(exportPath);
    expect(
      missing(body, [
        ...["edge-of-the-test", "weir.route", "inference/chat", "weir.variant", "stable"],
        ...["weir.tenant", "acme", "weir.tier", "gold", "http.status_code"],
      ]),
    ).toEqual([]);
  });

  it("have no query, and no trace that a client chose", async () => {
    const secret = "key-in-the-query";
    const headers = ["x-tenant-id: acme", given];
    await sendRaw(gateway.url, rawRequest(`/v1/models?api_key=${secret}`, headers));
    const { id } = await traced(collector);
    expect(id).not.toBe(parent);
    expect(pod.arrived.at(-1)?.url).toContain(secret);
    const all = Buffer.concat(collector.exports.map(({ body }) => body));
    expect([secret, "api_key", "Bearer"].filter((text) => all.includes(text))).toEqual([]);
  });
});

it("a trusted proxy in front chooses the trace, which the access log tells", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-traces-"));
  const accessLog = join(directory, "access.log");
  const { collector, gateway } = await start("http", { trustedHops: 1, accessLog });
  try {
    await sendRaw(gateway.url, rawRequest("/v1/models", ["x-tenant-id: acme", given]));
    expect((await traced(collector)).id).toBe(parent);
    await expect
      .poll(() => readFileSync(accessLog, "utf8"), { timeout: 30_000 })
      .toContain(`"trace_id":"${parent}"`);
  } finally {
    await gateway.stop();
    await collector.close();
    rmSync(directory, { recursive: true });
  }
});

it("a collector that is away costs no request", async () => {
  const { collector, gateway } = await start("http");
  await collector.close();
  try {
    for (let i = 0; i < 20; i++) {
      const { status } = await sendRaw(
        gateway.url,
        rawRequest("/v1/models", ["x-tenant-id: acme"]),
      );
      expect(status).toBe(200);
    }
  } finally {
    await gateway.stop();
  }
});
