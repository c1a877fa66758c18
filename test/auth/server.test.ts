import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import { PeerService } from "../../control/gen/weir/v1/peer_pb.ts";
import { ReportService } from "../../control/gen/weir/v1/report_pb.ts";
import { RolloutService } from "../../control/gen/weir/v1/rollout_pb.ts";
import { type InferenceRoute, TokensSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { AuditService, FleetService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { SignalService } from "../../control/gen/weir/v1/signals_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer } from "../api/control-server.ts";
import { rolloutOf } from "../rollout/world.ts";
import { exampleRoute } from "../route/documents.ts";
import { type Certificates, makeCertificates } from "../store/certificates.ts";
import { sotw } from "../xds/fake-envoy.ts";

/** The example in a namespace, with a host of its own. */
function routeIn(namespace: string, host = `${namespace}.example.com`): InferenceRoute {
  const route = exampleRoute();
  if (route.metadata) route.metadata.namespace = namespace;
  if (route.spec) route.spec.hosts = [host];
  return route;
}

let files: Certificates;
let server: ControlServer;
const log: string[] = [];

const people: Record<string, object> = {
  root: { role: "admin" },
  ada: { role: "admin", namespaces: ["a"] },
  ole: { role: "operator", namespaces: ["a"] },
  vic: { role: "viewer", namespaces: ["a"] },
  gone: { role: "admin", expires: "2020-01-01" },
  edge: { role: "proxy", namespaces: ["a"], nodes: ["edge-*"] },
};

beforeAll(async () => {
  files = makeCertificates(["gateway-1", "carla", "nobody"]);
  const access = join(files.directory, "access.yaml");
  const tokens = Object.entries(people).map(([name, grant]) => ({
    name,
    sha256: sha256Hex(`${name}-token`),
    ...grant,
  }));
  const certificates = [
    { name: "carla", role: "viewer" },
    { name: "gateway-1", role: "proxy", namespaces: ["b"], nodes: ["gateway-1"] },
  ];
  writeFileSync(access, JSON.stringify({ tokens, certificates }));
  server = await startQuietServer({
    access,
    tls: { cert: files.cert("server"), key: files.key("server"), clientCa: files.ca },
    log: (line) => log.push(line),
  });
  for (const namespace of ["a", "b"])
    await routesOf(by("root")).applyRoute({ route: routeIn(namespace) });
});
afterAll(async () => {
  await server?.close();
  files?.remove();
});

/** TLS with a token, or with a client's certificate. */
function by(name: string, httpVersion: "1.1" | "2" = "1.1"): Transport {
  return createConnectTransport({
    baseUrl: `https://127.0.0.1:${server.listen.port}`,
    httpVersion,
    nodeOptions: { ca: readFileSync(files.ca) },
    interceptors: [
      (next) => (request) => {
        if (name) request.header.set("authorization", `Bearer ${name}-token`);
        return next(request);
      },
    ],
  });
}
function withCertificate(name: string): Transport {
  return createGrpcTransport({
    baseUrl: `https://127.0.0.1:${server.listen.port}`,
    nodeOptions: {
      ca: readFileSync(files.ca),
      cert: readFileSync(files.cert(name)),
      key: readFileSync(files.key(name)),
    },
  });
}
const routesOf = (transport: Transport) => createClient(RouteService, transport);

/** A request over TLS without a body of its own: its status, and all that is said. */
function ask(path: string, method = "GET", token = ""): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${server.listen.port}`, {
      ca: readFileSync(files.ca),
    });
    session.on("error", reject);
    const request = session.request({
      ":path": path,
      ":method": method,
      ...(method === "POST" ? { "content-type": "application/json" } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    });
    let status = 0;
    let text = "";
    request.on("response", (headers) => {
      status = Number(headers[":status"]);
      text += JSON.stringify(headers);
    });
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("end", () => {
      resolve({ status, text });
      setImmediate(() => session.destroy());
    });
    request.on("error", reject);
    request.end(method === "POST" ? "{}" : undefined);
  });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "";
  }
}

describe("who is not known", () => {
  it.each<[string, () => Transport]>([
    ["brings nothing", () => by("")],
    ["brings an unknown token", () => by("stranger")],
    ["brings a token that has expired", () => by("gone")],
    ["brings a certificate that no rule names", () => withCertificate("nobody")],
  ])("and %s is unauthenticated", async (_name, transport) => {
    expect(await codeOf(routesOf(transport()).listRoutes({}))).toBe("Unauthenticated");
  });

  it("gets an answer from no method of any service, from no metrics and no unknown path", async () => {
    const services = [
      ...[AuditService, FleetService, PeerService, ReportService],
      ...[RolloutService, RouteService, SignalService],
    ];
    const methods = services.flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `/${typeName}/${name}`),
    );
    expect(methods.length).toBeGreaterThan(20);
    for (const path of methods)
      expect([path, (await ask(path, "POST")).status]).toEqual([path, 401]);
    for (const path of ["/metrics", "/nothing", "/weir.v1.RouteService/ListRoutes"])
      expect([path, (await ask(path)).status]).toEqual([path, 401]);
    for (const path of ["/healthz", "/readyz", "/", "/app.js"])
      expect([path, (await ask(path)).status]).toEqual([path, 200]);
  });

  it("gets no plain text on a TLS port", async () => {
    await expect(fetch(`http://127.0.0.1:${server.listen.port}/healthz`)).rejects.toThrow();
    const session = connect(`http://127.0.0.1:${server.xds.port}`);
    session.on("error", () => {});
    const stream = session.request({ ":path": "/", ":method": "POST" });
    let answered = false;
    stream.on("response", () => {
      answered = true;
    });
    stream.on("error", () => {});
    await new Promise((resolve) => stream.once("close", resolve));
    session.destroy();
    expect(answered).toBe(false);
  });

  it("never reads a token in an answer or in the log", async () => {
    const secret = /-token|sha256|[0-9a-f]{64}/;
    const path = "/weir.v1.RouteService/DeleteRoute";
    for (const name of ["stranger", "gone", "vic", "edge"]) {
      const { status, text } = await ask(path, "POST", `${name}-token`);
      expect([401, 403]).toContain(status);
      expect(text).not.toMatch(secret);
    }
    const refused = sotw(server.xds.port, {
      headers: { authorization: "Bearer stranger-token" },
      tls: { ca: readFileSync(files.ca) },
    });
    await new Promise((resolve) => refused.stream.on("response", resolve));
    refused.close();
    await expect
      .poll(() => log.filter((line) => line.includes("denied")).length)
      .toBeGreaterThan(2);
    expect(log.join("\n")).not.toMatch(secret);
  });
});

describe("streams that a caller has no right to", () => {
  const services = [RouteService, RolloutService, FleetService, PeerService, SignalService];
  const streams = [...services, AuditService, ReportService].flatMap((service) =>
    service.methods.flatMap(({ name, methodKind }) =>
      methodKind === "unary" ? [] : [`${service.typeName}/${name}`],
    ),
  );
  const open: Record<string, (transport: Transport) => AsyncIterable<unknown>> = {
    "weir.v1.RouteService/WatchRoute": (transport) =>
      createClient(RouteService, transport).watchRoute({ name: "b/chat" }),
    "weir.v1.RolloutService/WatchRollout": (transport) =>
      createClient(RolloutService, transport).watchRollout({ name: "b/chat" }),
    "weir.v1.PeerService/Follow": (transport) => createClient(PeerService, transport).follow({}),
    // It shows each caller what that one may see, and proxies nothing.
    "weir.v1.FleetService/WatchProxies": (transport) =>
      createClient(FleetService, transport).watchProxies({}),
  };

  it.each(streams)("end at once, and are in the log: %s", async (path) => {
    const who = path.endsWith("WatchProxies") ? "edge" : "vic";
    const stream = open[path]?.(by(who, "2"));
    const ended = (async () => {
      for await (const _ of stream ?? []) throw new Error("it was told something");
      throw new Error("it ended as if there was nothing");
    })();
    await expect(ended).rejects.toMatchObject({ code: Code.PermissionDenied });
    const line = `denied: ${who} called ${path}`;
    await expect
      .poll(() => log.some((each) => each.startsWith(line)), { timeout: 20_000 })
      .toBe(true);
  });
});

describe("roles", () => {
  const shift = (who: string, name: string, canary: number) =>
    codeOf(routesOf(by(who)).shiftWeights({ name, weights: { canary } }));
  it.each([
    ["vic", "a/chat", "PermissionDenied"],
    ["ole", "a/chat", "done"],
    ["ole", "b/chat", "PermissionDenied"],
    ["ada", "a/chat", "done"],
    ["ada", "b/chat", "PermissionDenied"],
    ["root", "b/chat", "done"],
    ["edge", "a/chat", "PermissionDenied"],
  ])("%s shifts %s: %s", async (who, name, expected) => {
    const weight = 20 + Object.keys(people).indexOf(who);
    expect(await shift(who, name, weight)).toBe(expected);
  });
  it.each([
    ["vic", "PermissionDenied"],
    ["ole", "PermissionDenied"],
    ["ada", "done"],
  ])("%s applies a route: %s", async (who, expected) => {
    const route = routeIn("a");
    if (route.metadata) route.metadata.name = `of-${who}`;
    if (route.spec) route.spec.hosts = [`${who}.example.com`];
    expect(await codeOf(routesOf(by(who)).applyRoute({ route }))).toBe(expected);
  });
  it.each([
    ["vic", "a/of-ada", "PermissionDenied"],
    ["ole", "a/of-ada", "PermissionDenied"],
    ["edge", "a/of-ada", "PermissionDenied"],
    ["ada", "b/chat", "PermissionDenied"],
    ["ada", "a/of-ada", "done"],
  ])("%s deletes %s: %s", async (who, name, expected) => {
    expect(await codeOf(routesOf(by(who)).deleteRoute({ name }))).toBe(expected);
  });
  it("show only the routes and the audit of one's namespaces", async () => {
    const { routes } = await routesOf(by("vic")).listRoutes({});
    expect(new Set(routes.map(({ state }) => state?.route?.metadata?.namespace))).toEqual(
      new Set(["a"]),
    );
    expect(await codeOf(routesOf(by("vic")).getRoute({ name: "b/chat" }))).toBe("PermissionDenied");
    const audit = createClient(AuditService, by("vic"));
    const { entries } = await audit.listAudit({ name: "" });
    expect(new Set(entries.map(({ name }) => name.split("/")[0]))).toEqual(new Set(["a"]));
    expect(await codeOf(audit.listAudit({ name: "b/chat" }))).toBe("PermissionDenied");
  });
  it("let no one take a host of a namespace that they cannot see", async () => {
    const thief = routeIn("a", "b.example.com");
    if (thief.metadata) thief.metadata.name = "thief";
    expect(await codeOf(routesOf(by("ada")).applyRoute({ route: thief }))).toBe("InvalidArgument");
  });
  it("come with certificates as well, over gRPC", async () => {
    const carla = routesOf(withCertificate("carla"));
    expect((await carla.listRoutes({})).routes.length).toBeGreaterThanOrEqual(2);
    expect(await codeOf(carla.deleteRoute({ name: "a/chat" }))).toBe("PermissionDenied");
  });
  it("are written into the audit by name, and refusals into the log", async () => {
    await routesOf(by("ole", "2")).shiftWeights({
      name: "a/chat",
      weights: { canary: 42 },
      reason: "why",
    });
    const { entries } = await createClient(AuditService, by("vic")).listAudit({
      name: "a/chat",
      limit: 1,
    });
    expect(entries).toMatchObject([{ principal: "ole", reason: "why", action: "shift" }]);
    await codeOf(routesOf(by("vic")).deleteRoute({ name: "a/chat" }));
    expect(log).toContain("denied: vic called weir.v1.RouteService/DeleteRoute");
  });
  it("of proxies read nothing and report only for nodes of their namespaces", async () => {
    expect(await codeOf(createClient(FleetService, by("edge")).listProxies({}))).toBe(
      "PermissionDenied",
    );
    const report = (who: string) =>
      codeOf(createClient(ReportService, by(who)).report({ node: "someone", revision: "1" }));
    expect(await report("vic")).toBe("PermissionDenied");
    expect(await report("edge")).toBe("PermissionDenied");
  });
  it("are asked for by the metrics, not by the health check", async () => {
    const get = (path: string, token?: string) =>
      new Promise<number>((resolve) => {
        const session = connect(`https://127.0.0.1:${server.listen.port}`, {
          ca: readFileSync(files.ca),
        });
        const request = session.request({
          ":path": path,
          ...(token ? { authorization: `Bearer ${token}-token` } : {}),
        });
        request.on("response", (headers) => {
          resolve(Number(headers[":status"]));
          session.destroy();
        });
      });
    expect(await get("/healthz")).toBe(200);
    expect(await get("/metrics")).toBe(401);
    expect(await get("/metrics", "vic")).toBe(403);
    expect(await get("/metrics", "root")).toBe(200);
  });
  it("show no rollout, watch or signal of another's namespace", async () => {
    const rollouts = createClient(RolloutService, by("root"));
    for (const namespace of ["a", "b"]) {
      const route = routeIn(namespace);
      if (route.spec) route.spec.tokens = create(TokensSchema, { measure: true });
      await routesOf(by("root")).applyRoute({ route });
      const rollout = rolloutOf({ steps: [{ weight: 90 }, { weight: 100 }] });
      if (rollout.metadata) rollout.metadata.namespace = namespace;
      await rollouts.startRollout({ rollout });
    }
    const own = createClient(RolloutService, by("vic"));
    const { rollouts: seen } = await own.listRollouts({});
    expect(seen.map(({ state }) => state?.rollout?.metadata?.namespace)).toEqual(["a"]);
    const name = "b/chat";
    expect(await codeOf(own.getRollout({ name }))).toBe("PermissionDenied");
    // What is written in b comes before what is written in a, and would be shown before it.
    const told = { rollouts: new Set<string>(), routes: new Set<string>() };
    let begun = false;
    for await (const { progress } of own.watchRollout({})) {
      told.rollouts.add(progress?.state?.rollout?.metadata?.namespace ?? "");
      if (progress?.state?.phase === "paused") break;
      if (begun) continue;
      begun = true;
      for (const each of ["b", "a"]) await rollouts.pauseRollout({ name: `${each}/chat` });
    }
    expect([...told.rollouts]).toEqual(["a"]);
    begun = false;
    for await (const { state } of routesOf(by("vic")).watchRoute({})) {
      told.routes.add(state?.route?.metadata?.namespace ?? "");
      if (state?.route?.spec?.variants.some(({ weight }) => weight === 7)) break;
      if (begun) continue;
      begun = true;
      for (const each of ["b", "a"])
        await routesOf(by("root")).shiftWeights({ name: `${each}/chat`, weights: { canary: 7 } });
    }
    expect([...told.routes]).toEqual(["a"]);
    const signals = createClient(SignalService, by("vic"));
    const { routes } = await signals.listSignals({});
    expect(new Set(routes.map((each) => each.name.split("/")[0]))).toEqual(new Set(["a"]));
    for (const call of [signals.listSignals, signals.getHistory])
      expect(["NotFound", "PermissionDenied"]).toContain(await codeOf(call({ name })));
  });
});

describe("a proxy on the xDS port", () => {
  const rdsUrl = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
  const cdsUrl = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
  const stream = (headers: Record<string, string>, name?: string) =>
    sotw(server.xds.port, {
      headers,
      tls: {
        ca: readFileSync(files.ca),
        ...(name
          ? { cert: readFileSync(files.cert(name)), key: readFileSync(files.key(name)) }
          : {}),
      },
    });

  it("gets the resources of its own namespaces alone", async () => {
    const edge = stream({ authorization: "Bearer edge-token" });
    edge.send({ node: { id: "edge-1" }, typeUrl: cdsUrl });
    const names = (await edge.next()).resources.map(({ value }) =>
      Buffer.from(value).toString("latin1"),
    );
    expect(names.some((text) => text.includes("a/chat/stable"))).toBe(true);
    expect(names.some((text) => text.includes("b/chat"))).toBe(false);
    edge.send({ typeUrl: rdsUrl, resourceNames: ["weir"] });
    const rds = Buffer.from((await edge.next()).resources[0]?.value ?? []).toString("latin1");
    expect(rds).toContain("a.example.com");
    expect(rds).not.toContain("b.example.com");
    const others: [string, string[]][] = [
      ["config.core.v3.TypedExtensionConfig", ["weir"]],
      ["config.endpoint.v3.ClusterLoadAssignment", ["a/chat/stable", "b/chat/stable"]],
    ];
    for (const [type, resourceNames] of others) {
      edge.send({ typeUrl: `type.googleapis.com/envoy.${type}`, resourceNames });
      const { resources } = await edge.next();
      const text = resources.map(({ value }) => Buffer.from(value).toString("latin1")).join();
      expect(text).toContain("a/chat");
      expect(text).not.toMatch(/b\/chat|b\.example\.com/);
    }
    edge.close();
  });
  it("is known by its certificate", async () => {
    const gateway = stream({}, "gateway-1");
    gateway.send({ node: { id: "gateway-1" }, typeUrl: cdsUrl });
    const text = (await gateway.next()).resources.map(({ value }) =>
      Buffer.from(value).toString("latin1"),
    );
    expect(text.some((each) => each.includes("b/chat/stable"))).toBe(true);
    expect(text.some((each) => each.includes("a/chat"))).toBe(false);
    gateway.close();
  });
  it("speaks for no other node", async () => {
    const gateway = stream({}, "gateway-1");
    gateway.send({ node: { id: "gateway-2" }, typeUrl: cdsUrl });
    expect(await gateway.ended).toEqual({
      status: "7",
      message: "this principal may not use the node id gateway-2",
    });
    gateway.close();
  });
  it.each<[string, Record<string, string>, string | undefined]>([
    ["nothing", {}, undefined],
    ["an unknown token", { authorization: "Bearer x" }, undefined],
    ["a certificate that no rule names", {}, "nobody"],
  ])("X16: that brings %s is refused", async (_name, headers, certificate) => {
    const refused = stream(headers, certificate);
    const status = await new Promise((resolve) =>
      refused.stream.on("response", (answer) => resolve(answer[":status"])),
    );
    expect(status).toBe(401);
    refused.close();
  });
  it("that is a person is refused", async () => {
    const person = stream({ authorization: "Bearer root-token" });
    person.send({ node: { id: "edge-1" }, typeUrl: cdsUrl });
    expect((await person.ended).status).toBe("7");
    person.close();
  });
});

it("does not listen beyond loopback where nobody is asked who they are", async () => {
  const beyond = { host: "0.0.0.0", port: 0 };
  await expect(startQuietServer({ listen: beyond })).rejects.toThrow(
    "--listen 0.0.0.0 is not a loopback address",
  );
  await expect(startQuietServer({ xds: beyond })).rejects.toThrow(
    "--xds 0.0.0.0 is not a loopback address",
  );
});
