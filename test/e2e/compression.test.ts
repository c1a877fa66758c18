import { readFileSync } from "node:fs";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend, type WantedAnswer } from "./backend.ts";
import { type Gateway, startGateway, startPlainEnvoy } from "./gateway.ts";
import { type Answer, type GatewayClient, gatewayClient } from "./gateway-client.ts";

interface Row {
  name: string;
  method?: string;
  request?: Record<string, string>;
  answer?: WantedAnswer;
  envoy: string;
  weir?: string;
  etag?: string;
  vary?: string;
}
const { rows } = JSON.parse(readFileSync("test/vectors/compression.json", "utf8")) as {
  rows: Row[];
};
const minBytes = 1024;

function route(name: string, endpoint: string, compression: object): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "test" },
    spec: {
      hosts: [`${name}.example.com`],
      service: { name: "llm", port: 8000 },
      variants: [{ name: "stable", weight: 100, endpoints: [endpoint] }],
      compression,
    },
  };
}

const compressor = {
  name: "envoy.filters.http.compressor",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor",
    response_direction_config: {
      common_config: { min_content_length: minBytes, content_type: ["application/json"] },
    },
    compressor_library: {
      name: "gzip",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip",
      },
    },
  },
};

let backend: Backend;
let gateway: Gateway;
let plain: Awaited<ReturnType<typeof startPlainEnvoy>>;
let byWeir: GatewayClient;
let byEnvoy: GatewayClient;

beforeAll(async () => {
  backend = await startBackend("stable");
  plain = await startPlainEnvoy([compressor], { cluster: "pod" }, { pod: backend.endpoint });
  gateway = await startGateway();
  const gzip = {
    algorithms: ["gzip"],
    minBytes,
    exceptions: [{ match: [{ header: "user-agent", prefix: "old-sdk/1." }] }],
  };
  await gateway.apply(route("gzip", backend.endpoint, gzip));
  await gateway.apply(route("all", backend.endpoint, { algorithms: ["zstd", "br", "gzip"] }));
  const small = { algorithms: ["gzip"], minBytes: 100, contentTypes: ["text/csv"] };
  await gateway.apply(route("small", backend.endpoint, small));
  byWeir = gatewayClient(gateway.url);
  byEnvoy = gatewayClient(plain.url);
});
afterAll(async () => {
  byWeir?.close();
  byEnvoy?.close();
  await gateway?.stop();
  await plain?.envoy.stop();
  await backend?.close();
});

/** One answer, asked for through either proxy. */
function ask(client: GatewayClient, host: string, { method, request, answer }: Partial<Row>) {
  const headers = { "content-type": "application/json", ...answer?.headers };
  const wanted = { bytes: 4000, ...answer, headers };
  const encoding = request?.["accept-encoding"] ?? "gzip";
  return client.send(method ?? "GET", "/v1/embeddings", {
    host: `${host}.example.com`,
    ...request,
    ...(encoding ? { "accept-encoding": encoding } : { "accept-encoding": [] }),
    "x-answer": JSON.stringify(wanted),
  });
}

/** What was done to the body: nothing, or one of ours. An encoding of the pod's own is nothing. */
function verdict({ headers }: Answer, row: Row): string {
  const encoding = headers["content-encoding"];
  const own = row.answer?.headers?.["content-encoding"];
  return encoding === undefined || encoding === own ? "none" : encoding;
}

describe("each answer's verdict, beside that of Envoy's own compressor", () => {
  it.each(rows)("$name", async (row) => {
    const [weir, envoy] = await Promise.all([ask(byWeir, "gzip", row), ask(byEnvoy, "gzip", row)]);
    expect(verdict(envoy, row), "Envoy's own").toBe(row.envoy);
    expect(verdict(weir, row), "Weir's").toBe(row.weir ?? row.envoy);
    expect(weir.status).toBe(envoy.status);
    expect(weir.headers.vary ?? "", "what caches are told").toBe(
      row.vary ?? envoy.headers.vary ?? "",
    );
    if (row.etag) expect(weir.headers.etag).toBe(row.etag);
    if (verdict(weir, row) !== "none") {
      expect(weir.headers["content-length"]).toBeUndefined();
      expect(gunzipSync(weir.body).length).toBe(row.answer?.bytes ?? 4000);
    } else if (verdict(envoy, row) === "none") {
      expect(weir.headers["content-length"]).toBe(envoy.headers["content-length"]);
      expect(weir.headers["content-range"]).toBe(envoy.headers["content-range"]);
      expect(weir.body.equals(envoy.body)).toBe(true);
    }
  });

  it.each([
    ["gzip, br, zstd", "zstd"],
    ["gzip, br", "br"],
    ["br;q=0.1, gzip", "br"],
    ["zstd;q=0, gzip", "gzip"],
    ["deflate", undefined],
  ])("takes of %s the route's favourite: %s", async (accepted, expected) => {
    const { headers, body } = await ask(byWeir, "all", {
      request: { "accept-encoding": accepted },
    });
    expect(headers["content-encoding"]).toBe(expected);
    if (expected === "br") expect(brotliDecompressSync(body).length).toBe(4000);
  });

  it("never tells the pods what the client accepts", () => {
    const seen = backend.arrived.filter(({ headers }) => headers.host === "all.example.com");
    expect(seen.length).toBeGreaterThan(4);
    expect(seen.map(({ headers }) => headers["accept-encoding"])).toEqual(
      seen.map(() => undefined),
    );
  });

  it("keeps to each route's own sizes and media types on one listener", async () => {
    const csv = { headers: { "content-type": "text/csv" }, bytes: 200 };
    const json = { bytes: 4000 };
    const small = await ask(byWeir, "small", { answer: csv });
    expect(small.headers["content-encoding"]).toBe("gzip");
    expect(
      (await ask(byWeir, "small", { answer: json })).headers["content-encoding"],
    ).toBeUndefined();
    expect(
      (await ask(byWeir, "gzip", { answer: csv })).headers["content-encoding"],
    ).toBeUndefined();
  });
});
