import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { wanted } from "../../control/controller/desired.ts";
import type { Live } from "../../control/controller/managed.ts";
import { steps } from "../../control/controller/plan.ts";
import { kindOf } from "../../control/controller/resources.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { draftRoute, parseRoutes } from "../../control/route/index.ts";

/** A route of chat.example.com at the gateway, with what its spec has besides. */
function stateOf(name: string, spec: object): RouteState {
  const document = {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: ["chat.example.com"],
      gateways: ["istio-system/public"],
      service: { name, port: 8000 },
      attach: { namespace: "istio-system", selector: { istio: "ingressgateway" } },
      canary: { stickyBy: [{ header: "x-user-id" }] },
      variants: [{ name: "stable", weight: 100, labels: { version: "v1" } }],
      ...spec,
    },
  };
  const { problems, routes } = parseRoutes(JSON.stringify(document));
  expect(problems).toEqual([]);
  return create(RouteStateSchema, draftRoute(routes[0] as never, undefined));
}
const wantedOf = (...states: RouteState[]) => wanted(states, {}, "weir");

/** What is applied and what goes, where the objects of these routes are and those of the others are wanted. */
function stepsBetween(before: RouteState[], after: RouteState[]) {
  const there = new Map<string, Live>(
    [...wantedOf(...before).objects].map(([key, { object, digest, routes }]) => [
      key,
      { object, digest, routes } as Live,
    ]),
  );
  const managed = { get: (key: string) => there.get(key), all: () => there.entries() };
  const { deletes, puts } = steps(
    wantedOf(...after),
    managed,
    ({ object }) => kindOf(object).rank,
    () => true,
  );
  return { puts: puts.map(({ desired }) => desired.key), deletes: deletes.map(([key]) => key) };
}

const rest = stateOf("rest", {});
const llama = stateOf("llama", { match: [{ model: { exact: "llama" } }] });
const qwen = stateOf("qwen", { match: [{ model: { exact: "qwen" } }] });
const broken = stateOf("qwen", {
  match: [{ model: { exact: "qwen" } }],
  // Only plain Envoys have it.
  resilience: { streamIdleTimeout: "60s" },
});
const kindsOf = (keys: string[]) => keys.map((key) => key.split(" ")[0]);

describe("objects of routes that share a host", () => {
  it("are changed in place as routes come and go", () => {
    const comes = stepsBetween([rest, llama], [rest, llama, qwen]);
    expect(kindsOf(comes.puts)).toEqual([
      "DestinationRule",
      "EnvoyFilter",
      "TrafficExtension",
      "VirtualService",
    ]);
    expect(comes.deletes).toEqual([]);
    const goes = stepsBetween([rest, llama, qwen], [rest, llama]);
    expect(kindsOf(goes.puts)).toEqual(["EnvoyFilter", "TrafficExtension", "VirtualService"]);
    expect(goes.deletes).toEqual(["DestinationRule inference/weir-qwen"]);
  });

  it("are replaced by those of the only route that is left, after these are there", () => {
    const { deletes, puts } = stepsBetween([rest, llama], [rest]);
    expect(puts).toEqual([
      "TrafficExtension istio-system/weir-rest.inference",
      "VirtualService inference/weir-rest",
    ]);
    expect(kindsOf(deletes)).toEqual([
      "VirtualService",
      "EnvoyFilter",
      "TrafficExtension",
      "DestinationRule",
    ]);
  });

  it("go where a route that is left has its own, though another one cannot be rendered", () => {
    const { deletes, puts } = stepsBetween([rest, qwen], [rest, broken]);
    expect(wantedOf(rest, broken).problems.has("inference/qwen")).toBe(true);
    expect(puts).toContain("VirtualService inference/weir-rest");
    // No proxy may have two filters that both charge the tenants of a route.
    expect(kindsOf(deletes)).toEqual(["VirtualService", "EnvoyFilter", "TrafficExtension"]);
  });

  it("stay where none of their routes can be rendered", () => {
    expect(stepsBetween([qwen], [broken])).toEqual({ puts: [], deletes: [] });
  });
});
