import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import { OverloadSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { ProblemsSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { startPod } from "../../control/pods/index.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { clientsOf } from "../api/clients.ts";
import { refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { openRoute } from "./registered.ts";

const one = "10.0.0.1:8000";
const tokens = ["admin", "viewer", "operator", "chat-pods", "other-pods", "far-pods"] as const;

let server: ControlServer;
let folder: string;
const log: string[] = [];
const as = (name: (typeof tokens)[number]) => clientsOf(urlOf(server), { token: `token-${name}` });

/** What a pod of the route says, but for what is given. */
const pod = (of: Partial<Asked> = {}) => ({
  route: "inference/chat",
  variant: "stable",
  address: one,
  instance: "a",
  ...of,
});

interface Asked {
  route: string;
  variant: string;
  address: string;
  instance: string;
  capacity: number;
  lease: { seconds: bigint };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "weir-registered-"));
  const access = join(folder, "access.yaml");
  const grants = {
    admin: "role: admin",
    viewer: "role: viewer, namespaces: [inference]",
    operator: "role: operator, namespaces: [inference]",
    "chat-pods": "role: pod, namespaces: [inference], routes: [chat]",
    "other-pods": "role: pod, namespaces: [inference]",
    "far-pods": "role: pod, namespaces: [far]",
  };
  const rules = tokens.map(
    (name) => `  - { name: ${name}, sha256: ${sha256Hex(`token-${name}`)}, ${grants[name]} }`,
  );
  writeFileSync(access, ["tokens:", ...rules].join("\n"));
  server = await startQuietServer({
    access,
    log: (line, code) => code?.startsWith("pod-") && log.push(`${code}: ${line}`),
  });
  for (const name of ["chat", "search"])
    await as("admin").routes.applyRoute({ route: openRoute({ stable: 100 }, name) });
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The Connect code of a refusal, and that of its problem. */
async function refusedAs(work: Promise<unknown>) {
  const error = await refusal(work);
  const [problem] = error.findDetails(ProblemsSchema).flatMap(({ problems }) => problems);
  return [Code[error.code], problem?.code];
}

describe("a pod that calls", () => {
  it("registers, renews, drains and leaves, and only that is logged which changes something", async () => {
    const { endpoints } = as("chat-pods");
    const first = await endpoints.registerEndpoint(pod({ route: "chat", capacity: 5 }));
    expect(first.endpoint).toMatchObject({
      route: "inference/chat",
      variant: "stable",
      address: one,
      capacity: 5,
      state: "ready",
      principal: "chat-pods",
    });
    expect(first.renewAfter).toMatchObject({ seconds: 3n, nanos: 333_000_000 });
    for (let i = 0; i < 5; i++) await endpoints.registerEndpoint(pod({ capacity: 5 }));
    const drained = await endpoints.drainEndpoint(pod());
    expect([drained.endpoint?.state, drained.effectiveAfter]).toEqual(["draining", undefined]);
    await endpoints.deregisterEndpoint(pod());
    await endpoints.deregisterEndpoint(pod());
    expect((await as("viewer").endpoints.listEndpoints({ name: "chat" })).endpoints).toEqual([]);
    const of = `${one} of inference/chat, variant stable`;
    expect(log).toEqual([
      `pod-joined: ${of} registered by chat-pods`,
      `pod-drains: ${of} drains, as chat-pods says`,
      `pod-left: ${of} left, as chat-pods says`,
    ]);
    const { entries } = await as("admin").audit.listAudit({ name: "chat" });
    expect(entries.map(({ action }) => action)).toEqual(["apply"]);
  });
  it("may do so as soon as its document is stored", async () => {
    const { endpoints, routes } = as("admin");
    for (let i = 0; i < 5; i++) {
      await routes.applyRoute({ route: openRoute({ stable: 100 }, `new-${i}`) });
      const address = `10.0.1.${i}:8000`;
      expect((await endpoints.listEndpoints({ name: `new-${i}` })).endpoints).toEqual([]);
      await endpoints.registerEndpoint(pod({ route: `inference/new-${i}`, address }));
      await routes.deleteRoute({ name: `inference/new-${i}` });
    }
  });
  it("is counted", async () => {
    const { endpoints } = as("chat-pods");
    await endpoints.registerEndpoint(pod({ instance: "b" }));
    await endpoints.registerEndpoint(pod({ instance: "b" }));
    await refusal(endpoints.registerEndpoint(pod({ instance: "" })));
    const metrics = await fetch(`${urlOf(server)}/metrics`, {
      headers: { authorization: "Bearer token-admin" },
    });
    const text = await metrics.text();
    expect(text).toContain(
      'weir_registered_pods{route="inference/chat",variant="stable",state="ready"} 1',
    );
    for (const event of ["join", "renew", "drain", "leave", "refuse"])
      expect(text).toMatch(new RegExp(`weir_registrations_total\\{event="${event}"\\} [1-9]`));
    await endpoints.deregisterEndpoint(pod({ instance: "b" }));
  });
  it("is shown with its state to those who may see the route", async () => {
    const { endpoints } = as("chat-pods");
    await endpoints.registerEndpoint(pod({ instance: "c" }));
    await endpoints.drainEndpoint(pod({ instance: "c" }));
    const { endpoints: shown } = await as("viewer").endpoints.listEndpoints({ name: "chat" });
    expect(shown).toEqual([expect.objectContaining({ address: one, state: "draining" })]);
    const { pods, read } = await as("viewer").signals.listPods({ name: "chat" });
    expect(read).toBe(false);
    expect(pods).toEqual([
      expect.objectContaining({ variant: "stable", endpoint: one, state: "draining" }),
    ]);
    await endpoints.deregisterEndpoint(pod({ instance: "c" }));
  });
});

describe("who may register where", () => {
  it.each([
    ["chat-pods", "inference/search"],
    ["far-pods", "inference/chat"],
    ["viewer", "inference/chat"],
    ["operator", "inference/chat"],
    ["chat-pods", "inference/nowhere"],
  ] as const)("%s may not register pods of %s", async (who, route) => {
    const { endpoints } = as(who);
    const calls = [
      endpoints.registerEndpoint(pod({ route })),
      endpoints.drainEndpoint(pod({ route })),
      endpoints.deregisterEndpoint(pod({ route })),
    ];
    for (const call of calls)
      expect(await refusedAs(call)).toEqual(["PermissionDenied", undefined]);
  });
  it("a pod may do nothing else", async () => {
    const { audit, endpoints, routes } = as("chat-pods");
    const calls = [
      routes.getRoute({ name: "inference/chat" }),
      routes.listRoutes({}),
      routes.applyRoute({ route: openRoute() }),
      routes.shiftWeights({ name: "inference/chat", weights: { stable: 100 } }),
      audit.listAudit({}),
      endpoints.listEndpoints({ name: "inference/chat" }),
    ];
    for (const call of calls)
      expect(await refusedAs(call)).toEqual(["PermissionDenied", undefined]);
  });
  it("an admin may register, drain and remove pods of others", async () => {
    await as("chat-pods").endpoints.registerEndpoint(pod({ instance: "d" }));
    const { endpoints } = as("admin");
    const { endpoint } = await endpoints.drainEndpoint({ route: "chat", address: one });
    expect(endpoint).toMatchObject({ state: "draining", principal: "chat-pods" });
    await endpoints.deregisterEndpoint({ route: "chat", address: one });
    expect((await endpoints.listEndpoints({ name: "chat" })).endpoints).toEqual([]);
  });
  it("a route that is not there is not found", async () => {
    const { endpoints } = as("other-pods");
    const calls = [
      endpoints.registerEndpoint(pod({ route: "inference/nowhere" })),
      endpoints.registerEndpoint(pod({ route: "nowhere" })),
      as("chat-pods").endpoints.registerEndpoint(pod({ route: "search" })),
      as("viewer").endpoints.listEndpoints({ name: "inference/nowhere" }),
    ];
    for (const call of calls) expect(await refusedAs(call)).toEqual(["NotFound", undefined]);
  });
});

describe("a refusal has the code", () => {
  it.each([
    ["bad-endpoint", "InvalidArgument", { address: "pod:8000" }],
    ["address-refused", "InvalidArgument", { address: "169.254.169.254:80" }],
    ["bad-capacity", "InvalidArgument", { capacity: 4_294_967_295 }],
    ["bad-lease", "InvalidArgument", { lease: { seconds: -9_007_199_254_740_993n } }],
    ["bad-lease", "InvalidArgument", { lease: { seconds: 0n } }],
    ["bad-instance", "InvalidArgument", { instance: "x".repeat(100_000) }],
    ["unknown-variant", "NotFound", { variant: "other" }],
  ])("%s", async (code, connect, of) => {
    const call = as("chat-pods").endpoints.registerEndpoint(pod(of));
    expect(await refusedAs(call)).toEqual([connect, code]);
  });
  it("address-taken, of a pod of another caller", async () => {
    await as("chat-pods").endpoints.registerEndpoint(pod({ instance: "e" }));
    const { endpoints } = as("other-pods");
    for (const call of [
      endpoints.registerEndpoint(pod({ instance: "f" })),
      endpoints.registerEndpoint(pod({ instance: "e" })),
      endpoints.registerEndpoint(pod({ instance: "f", route: "inference/search" })),
      endpoints.drainEndpoint(pod({ instance: "e" })),
      endpoints.deregisterEndpoint(pod({ instance: "" })),
    ])
      expect(await refusedAs(call)).toEqual(["FailedPrecondition", "address-taken"]);
    await as("chat-pods").endpoints.deregisterEndpoint(pod({ instance: "e" }));
  });
  it("pod-unknown, of one that drains without having registered", async () => {
    const call = as("chat-pods").endpoints.drainEndpoint(pod({ address: "10.0.0.9:1" }));
    expect(await refusedAs(call)).toEqual(["NotFound", "pod-unknown"]);
  });
});

it("pods that register are asked for their load as those are that a document lists", async () => {
  const busy = await startPod("stable", "127.0.0.1", 0);
  onTestFinished(() => busy.close());
  const asking = await startQuietServer({
    podMetrics: true,
    endpointRanges: [{ net: "127.0.0.0", bits: 8 }],
  });
  onTestFinished(() => asking.close());
  const route = openRoute();
  const limit = route.spec?.rateLimit;
  if (limit) limit.overload = create(OverloadSchema, {});
  const clients = clientsOf(urlOf(asking));
  await clients.routes.applyRoute({ route });
  await clients.endpoints.registerEndpoint(pod({ address: `127.0.0.1:${busy.port}` }));
  const { pods, read } = await clients.signals.listPods({ name: "chat" });
  expect([read, pods.map(({ problem, state }) => [problem, state])]).toEqual([
    true,
    [["", "ready"]],
  ]);
  const saturation = async () =>
    (await (await fetch(`${urlOf(asking)}/metrics`)).text()).match(/^weir_saturation\{.*\}/m)?.[0];
  await expect
    .poll(saturation, { timeout: 20_000 })
    .toBe('weir_saturation{route="inference/chat",source="metrics",variant="stable"}');
});
