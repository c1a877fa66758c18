import { connect } from "node:http2";
import { createConnection } from "node:net";
import { type Client, Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  AuditService,
  FleetService,
  ProblemsSchema,
  RouteService,
} from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { exampleRoute } from "../route/documents.ts";
import { refusal, startQuietServer, urlOf } from "./control-server.ts";

const example = exampleRoute();

let server: ControlServer;
let base: string;
beforeAll(async () => {
  server = await startQuietServer();
  base = urlOf(server);
});
afterAll(() => server.close());

const transports: [string, () => Transport][] = [
  ["Connect over HTTP/1.1", () => createConnectTransport({ baseUrl: base, httpVersion: "1.1" })],
  ["Connect over HTTP/2", () => createConnectTransport({ baseUrl: base, httpVersion: "2" })],
  ["gRPC", () => createGrpcTransport({ baseUrl: base })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: base, httpVersion: "1.1" })],
];

describe.each(transports)("over %s", (_name, transport) => {
  let routes: Client<typeof RouteService>;
  beforeEach(async () => {
    routes = createClient(RouteService, transport());
    await routes.deleteRoute({ name: "inference/chat" }).catch(() => {});
  });

  it("a route is applied, read, shifted, listed and deleted", async () => {
    const applied = await routes.applyRoute({ route: example, reason: "test" });
    expect(applied).toMatchObject({ created: true, changed: true });
    expect((await routes.applyRoute({ route: example })).changed).toBe(false);
    const shifted = await routes.shiftWeights({
      name: "chat",
      weights: { canary: 30 },
      reason: "more",
    });
    expect(shifted.moves).toMatchObject([{ from: "stable", to: "canary", percent: 20 }]);
    expect((await routes.getRoute({ name: "inference/chat" })).state).toEqual(shifted.state);
    expect((await routes.listRoutes({ namespace: "other" })).routes).toEqual([]);
    const { entries } = await createClient(AuditService, transport()).listAudit({
      name: "chat",
      limit: 2,
    });
    expect(entries.map(({ action, reason }) => `${action} ${reason}`)).toEqual([
      "shift more",
      "apply test",
    ]);
    await routes.deleteRoute({ name: "chat" });
    expect((await refusal(routes.getRoute({ name: "chat" }))).code).toBe(Code.NotFound);
    const odd = await refusal(routes.getRoute({ name: "inference/ch\u00e4t\n" }));
    expect(odd.code).toBe(Code.NotFound);
    expect(odd.metadata.get("weir-unknown-route")).toBe("inference/ch%C3%A4t%0A");
  });

  it("a wrong document is refused with every problem", async () => {
    const wrong = structuredClone(example);
    for (const variant of wrong.spec?.variants ?? []) variant.weight = 60;
    if (wrong.spec?.service) wrong.spec.service.port = 70_000;
    const error = await refusal(routes.applyRoute({ route: wrong }));
    expect(error.code).toBe(Code.InvalidArgument);
    const problems = error.findDetails(ProblemsSchema).flatMap((detail) => detail.problems);
    expect(problems.map(({ path }) => path)).toEqual(["spec.service.port"]);
    if (wrong.spec?.service) wrong.spec.service.port = 8000;
    const sum = await refusal(routes.applyRoute({ route: wrong }));
    expect(sum.rawMessage).toContain("weights must sum to exactly 100, not 120");
  });

  it("a stale etag is told the current one", async () => {
    const { state } = await routes.applyRoute({ route: example });
    const next = await routes.shiftWeights({
      name: "chat",
      weights: { canary: 20 },
      etag: state?.etag ?? "",
    });
    const error = await refusal(
      routes.shiftWeights({ name: "chat", weights: { canary: 30 }, etag: state?.etag ?? "" }),
    );
    expect(error.code).toBe(Code.Aborted);
    expect(error.rawMessage).toContain(`the current one is "${next.state?.etag}"`);
  });

  it("a change is seen by whoever watches", async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    await routes.applyRoute({ route: example });
    for await (const { event, state } of routes.watchRoute({ name: "" }, { signal: stop.signal })) {
      seen.push(`${event} ${state?.route?.spec?.variants[1]?.weight}`);
      if (seen.length === 1) await routes.shiftWeights({ name: "chat", weights: { canary: 40 } });
      if (seen.length === 2) break;
    }
    stop.abort();
    expect(seen).toEqual(["put 10", "put 40"]);
  });

  it("a plan says who would move, and changes nothing", async () => {
    await routes.applyRoute({ route: example });
    const planned = structuredClone(example);
    planned.spec?.variants.forEach((variant, i) => {
      variant.weight = i === 0 ? 75 : 25;
    });
    const plan = await routes.planRoute({ route: planned });
    expect(plan.moves).toMatchObject([{ from: "stable", to: "canary", percent: 15 }]);
    expect(plan.diff).toContain("-      weight: 90");
    expect((await routes.getRoute({ name: "chat" })).state?.route).toEqual(example);
  });

  it("manifests are rendered", async () => {
    const { yaml } = await routes.renderRoute({
      route: example,
      wasmUrl: "oci://registry.example.com/weir:1",
    });
    expect(yaml).toContain("oci://registry.example.com/weir:1");
  });

  it("the fleet is there, if empty", async () => {
    expect((await createClient(FleetService, transport()).listProxies({})).proxies).toEqual([]);
  });
});

describe("what a stranger may send", () => {
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(`${base}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });

  it.each<[string, () => Promise<Response>, number]>([
    ["an unknown method", () => post("/weir.v1.RouteService/Nothing", "{}"), 404],
    ["an unknown service", () => post("/weir.v1.Nothing/Get", "{}"), 404],
    ["an unknown field", () => post("/weir.v1.RouteService/GetRoute", '{"nmae":"chat"}'), 400],
    ["a wrong type", () => post("/weir.v1.RouteService/GetRoute", '{"name":5}'), 400],
    ["no JSON", () => post("/weir.v1.RouteService/GetRoute", "{"), 400],
    [
      "another content type",
      () => post("/weir.v1.RouteService/GetRoute", "{}", { "content-type": "text/plain" }),
      415,
    ],
    [
      "GET where something is changed",
      () => fetch(`${base}/weir.v1.RouteService/ShiftWeights`),
      405,
    ],
    [
      "a message of over a megabyte",
      () => post("/weir.v1.RouteService/GetRoute", `{"name":"${"x".repeat(1 << 20)}"}`),
      429,
    ],
    [
      "no time at all",
      () => post("/weir.v1.RouteService/ListRoutes", "{}", { "connect-timeout-ms": "-5" }),
      400,
    ],
  ])("%s gets an answer that says so", async (_name, send, status) => {
    const response = await send();
    await response.text();
    expect(response.status).toBe(status);
  });

  it("garbage on the socket does not disturb others", async () => {
    await Promise.all(
      [
        "\0\0\0\0\0\0\0\0",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI",
      ].map(
        (garbage) =>
          new Promise<void>((resolve) => {
            const socket = createConnection(server.listen.port, "127.0.0.1", () =>
              socket.end(Buffer.from(garbage, "latin1")),
            );
            socket.on("error", () => resolve());
            socket.on("close", () => resolve());
            socket.resume();
          }),
      ),
    );
    const session = connect(base);
    const request = session.request({ ":path": "/healthz" });
    const status = await new Promise((resolve) =>
      request.on("response", (headers) => resolve(headers[":status"])),
    );
    session.destroy();
    expect(status).toBe(200);
  });
});

describe("with a token", () => {
  it("the API wants it, the page and the health check do not, and an error never shows it", async () => {
    const guarded = await startQuietServer({ token: "s3cret" });
    const url = urlOf(guarded);
    const call = (authorization?: string) =>
      fetch(`${url}/weir.v1.RouteService/ListRoutes`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(authorization ? { authorization } : {}),
        },
        body: "{}",
      });
    expect((await call()).status).toBe(401);
    const wrong = await call("Bearer other");
    expect(wrong.status).toBe(401);
    expect(await wrong.text()).not.toContain("other");
    expect((await call("Bearer s3cret")).status).toBe(200);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/`)).status).toBe(200);
    await guarded.close();
  });
});
