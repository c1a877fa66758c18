import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { FleetService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { startPod } from "../../control/pods/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { local, startQuietServer } from "../api/control-server.ts";
import { freePorts } from "../free-ports.ts";
import { exampleRoute } from "../route/documents.ts";
import { makeCertificates } from "../store/certificates.ts";
import { gatewayClient } from "./gateway-client.ts";

it.each([
  ["a certificate", { cert: true }],
  ["a token", { cert: false }],
])(
  "a real Envoy with %s gets its routes over TLS, and its filters' reports are let in",
  async (_name, { cert }) => {
    const files = makeCertificates(["edge-1"]);
    onTestFinished(() => files.remove());
    const [gatewayPort = 0, adminPort = 0] = await freePorts(2);
    const access = join(files.directory, "access.yaml");
    const proxy = { role: "proxy", namespaces: ["inference"], nodes: ["edge-1"] };
    writeFileSync(
      access,
      JSON.stringify({
        tokens: [
          { name: "root", sha256: sha256Hex("root-token"), role: "admin" },
          { name: "edge", sha256: sha256Hex("edge-token"), ...proxy },
        ],
        certificates: [{ name: "edge-1", ...proxy }],
      }),
    );
    const server = await startQuietServer({
      gateway: local(gatewayPort),
      access,
      tls: { cert: files.cert("server"), key: files.key("server"), clientCa: files.ca },
    });
    onTestFinished(() => server.close());
    const transport = createConnectTransport({
      baseUrl: `https://127.0.0.1:${server.listen.port}`,
      httpVersion: "1.1",
      nodeOptions: { ca: readFileSync(files.ca) },
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", "Bearer root-token");
          return next(request);
        },
      ],
    });
    const envoy = await startEnvoy({
      binary: await findEnvoy(() => {}),
      bootstrap: bootstrap({
        node: "edge-1",
        xds: server.xds,
        admin: local(adminPort),
        ca: files.ca,
        ...(cert
          ? { cert: files.cert("edge-1"), key: files.key("edge-1") }
          : { token: "edge-token" }),
      }),
      admin: local(adminPort),
      concurrency: 1,
    });
    onTestFinished(() => envoy.stop());
    const route = exampleRoute();
    for (const variant of route.spec?.variants ?? []) {
      const pod = await startPod(variant.name, "127.0.0.1", 0);
      onTestFinished(() => pod.close());
      variant.endpoints = [`127.0.0.1:${pod.port}`];
    }
    const routes = createClient(RouteService, transport);
    await routes.applyRoute({ route });
    const gateway = gatewayClient(`http://127.0.0.1:${gatewayPort}`);
    onTestFinished(() => gateway.close());
    const ask = () =>
      gateway.get("/v1/models", { "x-user-id": "ada" }).then(
        ({ status }) => status,
        () => 0,
      );
    await expect.poll(ask, { timeout: 20_000 }).toBe(200);
    const fleet = createClient(FleetService, transport);
    await expect
      .poll(async () => (await fleet.listProxies({})).proxies[0]?.reportedRevision, {
        timeout: 20_000,
      })
      .toMatch(/./);
    const { applied } = await routes.getRoute({ name: "chat" });
    expect(applied).toMatchObject({ wanted: 1, applied: 1 });
    // Whoever reads the proxy's configuration reads no token that reports are taken with.
    const dump = await fetch(`http://127.0.0.1:${adminPort}/config_dump?include_eds`);
    const text = await dump.text();
    expect(text).toContain("weir-report");
    expect(text).not.toMatch(/weir-report\.[A-Za-z0-9_-]{8}/);
    expect(text).not.toContain(Buffer.from("weir-report.").toString("base64").slice(0, 12));
  },
);
