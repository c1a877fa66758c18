import { create, type Message } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { Cluster } from "../../control/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { TypedExtensionConfig } from "../../control/gen/envoy/config/core/v3/extension_pb.ts";
import {
  type Wasm,
  WasmSchema,
} from "../../control/gen/envoy/extensions/filters/http/wasm/v3/wasm_pb.ts";
import { HttpProtocolOptionsSchema } from "../../control/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { FailurePolicy } from "../../control/gen/envoy/extensions/wasm/v3/wasm_pb.ts";
import { type RouteState, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { copyConfig, draftRoute, filterConfig, parseRoute } from "../../control/route/index.ts";
import { buildResources } from "../../control/xds/index.ts";

const wasm = { file: "/weir.wasm" };
const address = { host: "127.0.0.1", port: 1 };

/** A route of two variants; a served one has pods. */
function state(name: string, onFilterFailure?: string, served = true): RouteState {
  const pods = (last: number) => (served ? { endpoints: [`192.0.2.${last}:80`] } : {});
  const { problems, routes } = parseRoute({
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name, namespace: "inference" },
    spec: {
      hosts: [`${name}.example.com`],
      service: { name: "llm", port: 8000 },
      variants: [
        { name: "stable", weight: 100, ...pods(1) },
        { name: "next", weight: 0, ...pods(2) },
      ],
      shadow: { variant: "next", percent: 5, tag: "next-1", maxTokens: 9 },
      ...(onFilterFailure === undefined ? {} : { onFilterFailure }),
    },
  });
  const [route] = routes;
  if (route === undefined) throw new Error(JSON.stringify(problems));
  return create(RouteStateSchema, draftRoute(route, undefined));
}

function resourcesOf(...states: RouteState[]) {
  return buildResources(states, {
    gateway: address,
    report: address,
    weir: { wasm, config: "{}" },
    tokenLimit: { wasm, config: "{}" },
    copies: (route) => copyConfig(route) && { wasm, config: "{}" },
  });
}

const told = (any: Any | undefined): string => {
  const config = (any && anyUnpack(any, WasmSchema))?.config as Wasm["config"];
  const base = config?.reloadConfig?.backoff?.baseInterval;
  const name = Object.entries(FailurePolicy).find(([, value]) => value === config?.failurePolicy);
  return [name?.[0], ...(base ? [`${base.seconds}s`] : [])].join(" ");
};

/** What the gateway's filters do, one per filter. */
function gatewayFilters(...states: RouteState[]): string[] {
  return resourcesOf(...states).ECDS.map(({ message }) =>
    told((message as TypedExtensionConfig).typedConfig),
  );
}

/** What the filter before a shadow does, by route. */
function copyFilters(...states: RouteState[]): Record<string, string> {
  const found = resourcesOf(...states).CDS.flatMap(({ message, name }) => {
    const options = (message as Message & Cluster).typedExtensionProtocolOptions;
    return Object.values(options).flatMap((any) => {
      const [filter] = anyUnpack(any, HttpProtocolOptionsSchema)?.httpFilters ?? [];
      const typed = filter?.configType.case === "typedConfig" ? filter.configType.value : undefined;
      return typed ? [[name, told(typed)] as const] : [];
    });
  });
  return Object.fromEntries(found);
}

const reload = "FAIL_RELOAD 1s";
const open = "FAIL_OPEN";

describe("what plain Envoys do when a filter traps", () => {
  it.each([
    ["no route", [], reload],
    ["a route that says nothing", [state("a")], reload],
    ["a route that refuses", [state("a", "refuse")], reload],
    ["a route that passes", [state("a", "pass")], open],
    ["routes that pass", [state("a", "pass"), state("b", "pass")], open],
    ["one that refuses beside one that passes", [state("a", "pass"), state("b", "refuse")], reload],
    ["one that says nothing beside one that passes", [state("b"), state("c", "pass")], reload],
    [
      "a silent one that these Envoys do not serve",
      [state("a", "pass"), state("b", undefined, false)],
      open,
    ],
  ])("for %s", (_, states, expected) => {
    expect(gatewayFilters(...states)).toEqual([expected, expected]);
  });

  it("a shadow's copies follow their own route", () => {
    const states = [state("a", "pass"), state("b", "refuse"), state("c")];
    expect(copyFilters(...states)).toEqual({
      "inference/a/next": open,
      "inference/b/next": reload,
      "inference/c/next": reload,
    });
  });

  it("the filters are told nothing of it, and the listener stays as it is", () => {
    const of = (state: RouteState) => JSON.stringify(filterConfig([state]));
    expect(of(state("a", "pass"))).toBe(of(state("a")));
    expect(resourcesOf(state("a", "pass")).LDS).toEqual(resourcesOf(state("a")).LDS);
  });
});
