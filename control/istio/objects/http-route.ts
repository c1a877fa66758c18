import type { JsonObject } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import { answerHeaders, type Rule, routeName, rulesOf, variantHeader } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { defined, definedOrNothing, type Manifest, metadataFor } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";

/** The HTTPRoute of a route: the rules of its VirtualService in the words of the Gateway API. */
export function httpRoute(
  route: InferenceRoute,
  { gatewayApiChannel }: { gatewayApiChannel?: "standard" | "experimental" | undefined },
): Manifest {
  const spec = route.spec as RouteSpec;
  const rules = rulesOf(route);
  const retry = gatewayApiChannel === "experimental" ? retryOf(spec) : undefined;
  const hostnames = spec.hosts.filter((host) => host !== "*");
  return {
    object: {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: metadataFor(objectName(route), namespaceOf(route), [routeName(route)]),
      spec: defined({
        parentRefs: parentsOf(route, spec),
        // A host "*" is every host: the parent's own, which an absent list means.
        hostnames:
          hostnames.length > 0 && hostnames.length === spec.hosts.length ? hostnames : undefined,
        rules: rules.map((rule) => defined({ ...ruleOf(rule, spec), retry })),
      }),
    },
    origins: [
      {
        path: [],
        text: `HTTPRoute of ${routeName(route)}: spec.hosts, spec.gateways, spec.variants`,
      },
      ...rules.map((rule, index) => ({ path: ["spec", "rules", index], text: rule.origin })),
    ],
  };
}

/** Names that Istio gives the rules of an HTTPRoute, in order. */
export function httpRouteRuleNames(route: InferenceRoute): string[] {
  const id = `${namespaceOf(route)}.${objectName(route)}`;
  return rulesOf(route).map((_, index) => `${id}.${index}`);
}

/** Gateways of the Gateway API; in the mesh the Service that callers name (GAMMA). */
function parentsOf(route: InferenceRoute, spec: RouteSpec): JsonObject[] {
  const service = {
    group: "",
    kind: "Service",
    name: spec.service?.name ?? "",
    port: spec.service?.port ?? 0,
  };
  if (spec.gateways.length === 0) return [service];
  return spec.gateways.map((gateway) => {
    if (gateway === "mesh") return service;
    const [namespace, name] = gateway.includes("/")
      ? gateway.split("/")
      : [namespaceOf(route), gateway];
    return {
      group: "gateway.networking.k8s.io",
      kind: "Gateway",
      namespace: namespace ?? "",
      name: name ?? "",
    };
  });
}

function ruleOf(rule: Rule, spec: RouteSpec): JsonObject {
  const headers = Object.entries(rule.headers).map(([name, value]) => ({
    type: "Exact",
    name,
    value,
  }));
  const timeout = gatewayDuration(spec.resilience?.timeout);
  const tryTimeout = gatewayDuration(spec.resilience?.retries?.perTryTimeout);
  return defined({
    matches: headers.length > 0 ? [{ headers }] : undefined,
    filters: filtersOf(rule, spec),
    backendRefs: rule.targets.map(({ variant, weight }) =>
      defined({
        ...backend(spec, variant),
        weight: rule.targets.length === 1 ? undefined : weight,
        filters: spec.tellVariant ? [tellsVariant(variant.name)] : undefined,
      }),
    ),
    timeouts: definedOrNothing({ request: timeout, backendRequest: tryTimeout }),
  });
}

function tellsVariant(value: string): JsonObject {
  return {
    type: "ResponseHeaderModifier",
    responseHeaderModifier: { set: [{ name: variantHeader, value }] },
  };
}

function filtersOf(rule: Rule, spec: RouteSpec): JsonObject[] {
  const request = modifier(spec.headers?.request, []);
  const response = modifier(spec.headers?.response, answerHeaders(spec));
  const filters: JsonObject[] = [];
  if (request) filters.push({ type: "RequestHeaderModifier", requestHeaderModifier: request });
  if (response) filters.push({ type: "ResponseHeaderModifier", responseHeaderModifier: response });
  if (rule.mirrorTo)
    filters.push({
      type: "RequestMirror",
      requestMirror: { backendRef: backend(spec, rule.mirrorTo) },
    });
  return filters;
}

function modifier(asked: HeaderOperations | undefined, spoken: string[]): JsonObject | undefined {
  const remove = [...spoken, ...(asked?.remove ?? [])];
  return definedOrNothing({
    set: pairs(asked?.set),
    add: pairs(asked?.add),
    remove: remove.length > 0 ? remove : undefined,
  });
}

function pairs(values: Record<string, string> | undefined): JsonObject[] | undefined {
  const sorted = Object.entries(sortedRecord(values ?? {}));
  return sorted.length > 0 ? sorted.map(([name, value]) => ({ name, value })) : undefined;
}

function backend(spec: RouteSpec, variant: Variant): JsonObject {
  const port = spec.service?.port ?? 0;
  return variant.inferencePool === ""
    ? { group: "", kind: "Service", name: variant.service || (spec.service?.name ?? ""), port }
    : { group: "inference.networking.k8s.io", kind: "InferencePool", name: variant.inferencePool };
}

/** HTTP statuses of Envoy's retry conditions, which the Gateway API does not know. */
const statuses: Record<string, number[]> = {
  "5xx": [500, 502, 503, 504],
  "gateway-error": [502, 503, 504],
  "retriable-4xx": [409],
};

function retryOf({ resilience }: RouteSpec): JsonObject | undefined {
  const retries = resilience?.retries;
  if (retries === undefined || retries.attempts === 0) return undefined;
  const codes = [...new Set(retries.retryOn.flatMap((condition) => statuses[condition] ?? []))];
  return defined({
    codes: codes.length > 0 ? codes.sort((a, b) => a - b) : undefined,
    attempts: retries.attempts,
    backoff: gatewayDuration(retries.backoff),
  });
}

/** A duration as GEP-2257 has it: whole units of at most five digits. */
function gatewayDuration(duration: Duration | undefined): string | undefined {
  if (duration === undefined) return undefined;
  const seconds = Number(duration.seconds);
  const millis = Math.trunc(duration.nanos / 1_000_000);
  const hours = Math.floor(seconds / 3600);
  const rest = seconds > 99_999 ? seconds % 3600 : seconds;
  const parts = [
    seconds > 99_999 ? `${hours}h` : "",
    rest > 0 ? `${rest}s` : "",
    millis > 0 ? `${millis}ms` : "",
  ];
  return parts.join("") || undefined;
}
