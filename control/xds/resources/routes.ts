import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOptionSchema,
} from "../../gen/envoy/config/core/v3/base_pb.ts";
import type {
  HeaderMatcherSchema,
  RouteActionSchema,
  RouteSchema,
  VirtualHostSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { HeaderMatch, InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import { controlHeaders, type Rule, routeName, rulesOf, shadowHeaders } from "../../route/index.ts";
import { clusterName } from "./cluster.ts";
import { compressorsOn } from "./compressors.ts";
import { connectionLimitName, connectionLimitOnRoute } from "./connection-limit.ts";
import { faultFilterName, faultOnRoute } from "./fault.ts";
import { routeConfigName } from "./options.ts";
import { behaviour } from "./route-action.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;
type ActionInit = MessageInitShape<typeof RouteActionSchema>;

/** The one route configuration: a virtual host per route. */
export function routeConfiguration(routes: readonly InferenceRoute[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: routeConfigName,
    virtualHosts: routes.map(virtualHost),
  });
}

function virtualHost(route: InferenceRoute): MessageInitShape<typeof VirtualHostSchema> {
  const spec = route.spec as RouteSpec;
  const { request, response } = spec.headers ?? {};
  const limit = spec.rateLimit?.perConnection;
  return {
    name: routeName(route),
    domains: spec.hosts,
    requestHeadersToAdd: added(request),
    requestHeadersToRemove: request?.remove ?? [],
    responseHeadersToAdd: added(response),
    responseHeadersToRemove: [
      // A pod must not be able to speak in Weir's name.
      ...controlHeaders,
      ...shadowHeaders(spec),
      ...(response?.remove ?? []),
    ],
    typedPerFilterConfig: {
      ...compressorsOn(route),
      ...(limit ? { [connectionLimitName]: connectionLimitOnRoute(limit) } : {}),
    },
    routes: rulesOf(route).map((rule) => entry(route, spec, rule)),
  };
}

function added(
  operations: HeaderOperations | undefined,
): MessageInitShape<typeof HeaderValueOptionSchema>[] {
  const option =
    (appendAction: AppendAction) =>
    ([key, value]: [string, string]) => ({ header: { key, value }, appendAction });
  return [
    ...Object.entries(operations?.set ?? {}).map(option(AppendAction.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...Object.entries(operations?.add ?? {}).map(option(AppendAction.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

function entry(route: InferenceRoute, spec: RouteSpec, rule: Rule): RouteInit {
  const { mirrorTo, targets } = rule;
  const clusters = targets.map(({ variant, weight }) => ({
    name: clusterName(route, variant.name),
    weight,
  }));
  const [only] = clusters;
  const clusterSpecifier: ActionInit["clusterSpecifier"] =
    clusters.length === 1 && only
      ? { case: "cluster", value: only.name }
      : { case: "weightedClusters", value: { clusters } };
  const mirror = mirrorTo && {
    cluster: clusterName(route, mirrorTo.name),
    disableShadowHostSuffixAppend: true,
  };
  return {
    name: rule.name,
    match: {
      pathSpecifier: { case: "prefix", value: "/" },
      headers: [
        ...Object.entries(rule.headers).map(([name, value]) => matcher(name, "exact", value)),
        ...rule.match.map(matcherOf),
      ],
    },
    action: {
      case: "route",
      value: {
        clusterSpecifier,
        requestMirrorPolicies: mirror ? [mirror] : [],
        ...behaviour(spec, rule.drill),
      },
    },
    ...(rule.drill && spec.fault
      ? { typedPerFilterConfig: { [faultFilterName]: faultOnRoute(spec.fault) } }
      : {}),
  };
}

function matcherOf({ header, value }: HeaderMatch): MessageInitShape<typeof HeaderMatcherSchema> {
  if (value.case === "exact" || value.case === "prefix")
    return matcher(header, value.case, value.value);
  return {
    name: header,
    headerMatchSpecifier: { case: "presentMatch", value: value.value !== false },
  };
}

function matcher(
  name: string,
  kind: "exact" | "prefix",
  value: string,
): MessageInitShape<typeof HeaderMatcherSchema> {
  return {
    name,
    headerMatchSpecifier: {
      case: "stringMatch",
      value: { matchPattern: { case: kind, value } },
    },
  };
}
