import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createReportTokens, sha256Hex } from "../../control/auth/index.ts";
import { SecretSchema } from "../../control/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { PeerService } from "../../control/gen/weir/v1/peer_pb.ts";
import { ReportService } from "../../control/gen/weir/v1/report_pb.ts";
import { FleetService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { exampleRoute } from "../route/documents.ts";
import { delta, sotw } from "../xds/fake-envoy.ts";

const cdsUrl = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const secretUrl = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
const words = "cluster b/secret-model/stable is not to my taste";

const tokens: Record<string, object> = {
  root: { role: "admin" },
  ada: { role: "viewer", namespaces: ["a"] },
  bea: { role: "viewer", namespaces: ["b"] },
  both: { role: "viewer", namespaces: ["a", "b"] },
  "of-a": { role: "proxy", namespaces: ["a"], nodes: ["a-*"] },
  "of-b": { role: "proxy", namespaces: ["b"], nodes: ["b-*"] },
  shared: { role: "proxy", namespaces: ["a", "b"], nodes: ["shared-*"] },
};

let directory: string;
let access: string;
let server: ControlServer;
const open: { close(): void }[] = [];
const by = (token: string) =>
  createConnectTransport({
    baseUrl: urlOf(server),
    httpVersion: "2",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
const as = (name: string) => by(`${name}-token`);

/** A proxy with a stream; it refuses what it is sent where it has words for it. */
async function connected(node: string, token: string, refuses = "") {
  const proxy = sotw(server.xds.port, { headers: { authorization: `Bearer ${token}-token` } });
  open.push(proxy);
  proxy.send({ node: { id: node }, typeUrl: cdsUrl });
  const { nonce, versionInfo } = await proxy.next();
  proxy.send(
    refuses
      ? { typeUrl: cdsUrl, responseNonce: nonce, errorDetail: { code: 3, message: refuses } }
      : { typeUrl: cdsUrl, responseNonce: nonce, versionInfo },
  );
  return proxy;
}

/** The token with which a proxy's filters report, as its stream brings it. */
async function reportTokenOf(proxy: ReturnType<typeof sotw>): Promise<string> {
  proxy.send({ typeUrl: secretUrl, resourceNames: ["weir-report"] });
  const [resource] = (await proxy.next()).resources;
  const secret = resource && anyUnpack(resource, SecretSchema);
  const value = secret?.type.case === "genericSecret" ? secret.type.value.secret : undefined;
  const text = value?.specifier.case === "inlineString" ? value.specifier.value : "";
  return text.replace("Bearer ", "");
}

let edge: ReturnType<typeof sotw>;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-namespaces-"));
  access = join(directory, "access.yaml");
  const entries = Object.entries(tokens).map(([name, grant]) => ({
    name,
    sha256: sha256Hex(`${name}-token`),
    ...grant,
  }));
  writeFileSync(access, JSON.stringify({ tokens: entries }));
  server = await startQuietServer({ access });
  for (const namespace of ["a", "b"]) {
    const route = exampleRoute();
    if (route.metadata) route.metadata.namespace = namespace;
    if (route.spec) route.spec.hosts = [`${namespace}.example.com`];
    await createClient(RouteService, as("root")).applyRoute({ route });
  }
  edge = await connected("a-1", "of-a");
  await connected("a-2", "of-a");
  await connected("b-1", "of-b", words);
  await connected("shared-1", "shared", words);
  await vi.waitFor(
    async () => {
      const refused = (await proxiesOf("root")).filter(({ resources }) =>
        resources.some(({ nackMessage }) => nackMessage !== ""),
      );
      if (refused.length < 2) throw new Error("the refusals did not arrive");
    },
    { timeout: 10_000 },
  );
});
afterAll(async () => {
  for (const each of open) each.close();
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

const proxiesOf = async (name: string) =>
  (await createClient(FleetService, as(name)).listProxies({})).proxies;

describe("proxies are seen, and their words read, by who sees their namespaces", () => {
  it.each([
    ["root", ["a-1", "a-2", "b-1", "shared-1"], true],
    ["both", ["a-1", "a-2", "b-1", "shared-1"], true],
    ["ada", ["a-1", "a-2", "shared-1"], false],
    ["bea", ["b-1", "shared-1"], true],
  ])("%s sees %j", async (name, nodes, reads) => {
    const list = await proxiesOf(name);
    expect(list.map(({ node }) => node)).toEqual(nodes);
    const stop = new AbortController();
    for await (const { proxies } of createClient(FleetService, as(name)).watchProxies(
      {},
      { signal: stop.signal },
    )) {
      expect(proxies).toEqual(list);
      break;
    }
    stop.abort();
    const shared = list.find(({ node }) => node === "shared-1");
    expect(shared?.resources.some(({ nackedVersion }) => nackedVersion !== "")).toBe(true);
    const said = list.flatMap(({ resources }) => resources.map(({ nackMessage }) => nackMessage));
    expect(said.join().includes("secret-model")).toBe(reads);
  });

  it("the state of a route tells that a proxy refused, and its words to those who may read them", async () => {
    const behind = async (who: string, name: string) =>
      (await createClient(RouteService, as(who)).getRoute({ name })).applied?.behind ?? [];
    for (const who of ["ada", "both", "root"]) {
      const told = (await behind(who, "a/chat")).find(({ node }) => node === "shared-1");
      expect(told?.refused).toBe(true);
      expect(told?.reason.includes("secret-model")).toBe(who !== "ada");
    }
    expect(JSON.stringify(await behind("ada", "a/chat"))).not.toMatch(/secret-model|b-1/);
    const { routes } = await createClient(RouteService, as("ada")).listRoutes({});
    expect(JSON.stringify(routes.map(({ applied }) => applied))).not.toMatch(/secret-model|b-1/);
  });

  it("other replicas' stream is for who sees everything", async () => {
    for (const name of ["ada", "both"]) {
      const stream = createClient(PeerService, as(name)).follow({});
      expect((await refusal(stream[Symbol.asyncIterator]().next())).code).toBe(
        Code.PermissionDenied,
      );
    }
  });
});

describe("a report is taken from its sender alone", () => {
  const counter = (route: string) => ({
    name: "canary_requests",
    route,
    label: "canary",
    value: 5n,
  });
  const report = (token: string, node: string, route = "a/chat", revision = "made-up") =>
    createClient(ReportService, by(token)).report({ node, revision, counters: [counter(route)] });
  const denied = async (call: Promise<unknown>) => (await refusal(call)).code;
  let token: string;
  beforeAll(async () => {
    token = await reportTokenOf(edge);
  });

  it("with the token that the stream of its node brought, of routes of its namespaces", async () => {
    await report(token, "a-1");
    const seen = (await proxiesOf("root")).find(({ node }) => node === "a-1");
    expect(seen?.reportedRevision).toBe("made-up");
  });
  it("is refused for another node of the namespaces", async () => {
    expect(await denied(report(token, "a-2"))).toBe(Code.PermissionDenied);
    expect(await denied(report(token, "shared-1"))).toBe(Code.PermissionDenied);
  });
  it("is refused for a node that is made up", async () => {
    expect(await denied(report(token, "a-3"))).toBe(Code.PermissionDenied);
  });
  it("is refused for a route of another namespace", async () => {
    expect(await denied(report(token, "a-1", "b/chat"))).toBe(Code.PermissionDenied);
    expect(await denied(report("of-a-token", "a-1", "b/chat"))).toBe(Code.PermissionDenied);
  });
  it("a revision that it claims without having acknowledged it proves nothing", async () => {
    await report(token, "a-1", "a/chat", "no-such-revision");
    const { applied } = await createClient(RouteService, as("root")).getRoute({ name: "a/chat" });
    expect(applied).toMatchObject({ wanted: 3, applied: 0 });
    const own = applied?.behind.find(({ node }) => node === "a-1");
    expect(own?.reason).toBe("waiting for EDS");
  });
  it("is refused with a token that has ended, or was made up", async () => {
    const old = createReportTokens(Buffer.from("other"), () => Date.now());
    expect(await denied(report(old.tokenFor("a-1", ["a"]), "a-1"))).toBe(Code.Unauthenticated);
    expect(await denied(report(`${token}x`, "a-1"))).toBe(Code.Unauthenticated);
  });
  it("the token reads nothing and opens no stream", async () => {
    expect(await denied(createClient(FleetService, by(token)).listProxies({}))).toBe(
      Code.PermissionDenied,
    );
    const stream = sotw(server.xds.port, { headers: { authorization: `Bearer ${token}` } });
    open.push(stream);
    stream.send({ node: { id: "a-1" }, typeUrl: cdsUrl });
    expect((await stream.ended).status).toBe("7");
  });
  it("no resource that a proxy's configuration dump shows holds a token", async () => {
    const types: [string, string[]][] = [
      ["cluster.v3.Cluster", []],
      ["endpoint.v3.ClusterLoadAssignment", ["a/chat/stable"]],
      ["listener.v3.Listener", []],
      ["route.v3.RouteConfiguration", ["weir"]],
      ["core.v3.TypedExtensionConfig", ["weir"]],
    ];
    for (const [type, resourceNames] of types) {
      const proxy = sotw(server.xds.port, { headers: { authorization: "Bearer of-a-token" } });
      open.push(proxy);
      const typeUrl = `type.googleapis.com/envoy.config.${type}`;
      proxy.send({ node: { id: "a-9" }, typeUrl, resourceNames });
      const { resources } = await proxy.next();
      expect(resources.length, type).toBeGreaterThan(0);
      const text = resources.map(({ value }) => Buffer.from(value).toString("latin1")).join();
      expect(text, type).not.toMatch(/weir-report\.[A-Za-z0-9_-]{8}|Bearer /);
    }
    // What is looked for is what the token looks like.
    expect(token).toMatch(/^weir-report\.[A-Za-z0-9_-]{8}/);
  });
  it("comes over delta as well, once, and is not sent again to a proxy that has it", async () => {
    const proxy = delta(server.xds.port, { headers: { authorization: "Bearer of-a-token" } });
    open.push(proxy);
    proxy.send({
      node: { id: "a-4" },
      typeUrl: secretUrl,
      resourceNamesSubscribe: ["weir-report"],
    });
    const { resources, nonce } = await proxy.next();
    const [first] = resources;
    expect(first?.name).toBe("weir-report");
    expect(first?.resource && anyUnpack(first.resource, SecretSchema)?.type.case).toBe(
      "genericSecret",
    );
    proxy.send({ typeUrl: secretUrl, responseNonce: nonce });
    const again = delta(server.xds.port, { headers: { authorization: "Bearer of-a-token" } });
    open.push(again);
    again.send({
      node: { id: "a-4" },
      typeUrl: secretUrl,
      resourceNamesSubscribe: ["weir-report"],
      initialResourceVersions: { "weir-report": first?.version ?? "" },
    });
    again.send({ typeUrl: cdsUrl });
    // Had the secret been sent again it would have come first.
    expect((await again.next()).typeUrl).toBe(cdsUrl);
  });
});
