import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TokensSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { AuditService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { SignalService } from "../../control/gen/weir/v1/signals_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { exampleRoute } from "../route/documents.ts";
import { clientsOf } from "./clients.ts";
import { refusal, startQuietServer, urlOf } from "./control-server.ts";

let server: ControlServer;
const transport = () => createConnectTransport({ baseUrl: urlOf(server), httpVersion: "1.1" });
const routes = () => createClient(RouteService, transport());

beforeAll(async () => {
  server = await startQuietServer();
  await routes().applyRoute({ route: exampleRoute() });
});
afterAll(() => server.close());

it.each([
  ["", "kind: VirtualService"],
  ["istio", "kind: VirtualService"],
  ["gateway-api", "kind: HTTPRoute"],
])('RenderRoute for the target "%s" has a %s', async (target, kind) => {
  const { yaml } = await routes().renderRoute({ route: forTheGatewayApi(), target });
  expect(yaml).toContain(kind);
});

/** The example as both targets can have it. */
function forTheGatewayApi() {
  const route = exampleRoute();
  for (const variant of route.spec?.variants ?? []) variant.service = `chat-${variant.name}`;
  return route;
}

it.each<[string, object, RegExp]>([
  [
    "a target that is unknown",
    { name: "chat", target: "nginx" },
    /^target: target "nginx" must be one of istio, gateway-api$/,
  ],
  [
    "a url of no kind that proxies load",
    { name: "chat", wasmUrl: "ftp://x/weir.wasm" },
    /^wasmUrl: wasm url "ftp:\/\/x\/weir.wasm" must start with file:\/\/\/, http/,
  ],
  [
    "such a url of the other module",
    { name: "chat", tokenLimitWasmUrl: "weir" },
    /^tokenLimitWasmUrl: token limit wasm url "weir" must start with/,
  ],
  [
    "a name and a route",
    { name: "chat", route: exampleRoute() },
    /^name: name "chat" and route are both set/,
  ],
])("RenderRoute refuses %s", async (_name, request, words) => {
  const error = await refusal(routes().renderRoute(request));
  expect(error.code).toBe(Code.InvalidArgument);
  expect(error.rawMessage).toMatch(words);
});

it("a reason is kept whole or refused, and only a way back is never refused for its words", async () => {
  const { rollouts, audit } = clientsOf(urlOf(server));
  const long = "x".repeat(501);
  for (const call of [
    routes().applyRoute({ route: exampleRoute(), reason: long }),
    routes().shiftWeights({ name: "chat", weights: { canary: 11 }, reason: long }),
    routes().deleteRoute({ name: "chat", reason: long }),
    rollouts.startRollout({ rollout: rollout(), reason: long }),
  ]) {
    const error = await refusal(call);
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      "reason has 501 characters: at most 500 are allowed",
    ]);
  }
  const measured = exampleRoute();
  if (measured.spec) measured.spec.tokens = create(TokensSchema, { measure: true });
  await routes().applyRoute({ route: measured });
  await rollouts.startRollout({ rollout: rollout() });
  expect((await refusal(rollouts.pauseRollout({ name: "chat", reason: long }))).code).toBe(
    Code.InvalidArgument,
  );
  await rollouts.rollbackRollout({ name: "chat", reason: long });
  const { entries } = await audit.listAudit({ name: "chat" });
  const kept = entries.find(({ action }) => action === "rollout-rollback")?.reason;
  expect(kept).toBe(`${"x".repeat(499)}…`);
});

const rollout = () => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "Rollout",
  metadata: { name: "chat", namespace: "inference" },
  spec: {
    canary: "canary",
    stable: "stable",
    steps: [{ action: { case: "weight" as const, value: 50 } }],
  },
});

it("a dry run is refused for a stale etag as the write would be", async () => {
  const route = exampleRoute();
  if (route.spec?.service) route.spec.service.port = 9999;
  const error = await refusal(routes().applyRoute({ route, dryRun: true, etag: "stale" }));
  expect(error.code).toBe(Code.Aborted);
});

it.each<[string, () => Promise<unknown>, string]>([
  [
    "more of the audit than is told at once",
    () => createClient(AuditService, transport()).listAudit({ limit: 10_001 }),
    "limit 10001 is more than the maximum of 10000 entries",
  ],
  [
    "the history of no route",
    () => createClient(SignalService, transport()).getHistory({}),
    "name is required",
  ],
])("%s is refused", async (_name, ask, words) => {
  const error = await refusal(ask());
  expect([error.code, error.rawMessage]).toEqual([Code.InvalidArgument, words]);
});
