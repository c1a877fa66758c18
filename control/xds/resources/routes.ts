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
import type {
  HeaderMatch,
  InferenceRoute,
  RouteSpec,
  Variant,
} from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import { answerHeaders, type Rule, routeName, rulesOf, variantHeader } from "../../route/index.ts";
import { compressorsOn } from "./compressors.ts";
import { connectionLimitName, connectionLimitOnRoute } from "./connection-limit.ts";
import { corsOnRoute } from "./cors.ts";
import { exceptedEntries, type RouteFields } from "./except.ts";
import { answeringVariant, chainOf, clusterName, targetName } from "./failover.ts";
import { faultFilterName, faultOnRoute } from "./fault.ts";
import { methodIn } from "./method.ts";
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
  const entries = rulesOf(route).map((rule) => entry(route, spec, rule));
  return {
    name: routeName(route),
    domains: spec.hosts,
    requestHeadersToAdd: added(request),
    requestHeadersToRemove: request?.remove ?? [],
    responseHeadersToAdd: added(response),
    responseHeadersToRemove: [
      // A pod must not be able to speak in Weir's name.
      ...answerHeaders(spec),
      ...(response?.remove ?? []),
    ],
    typedPerFilterConfig: {
      ...compressorsOn(route),
      ...corsOnRoute(spec),
      ...(limit ? { [connectionLimitName]: connectionLimitOnRoute(limit) } : {}),
    },
    routes: [notAllowed, ...exceptedEntries(route, entries.at(-1) as RouteFields), ...entries],
  };
}

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Other methods, such as TRACE, which shows a client's headers to whom it reaches, do not reach the pods. */
const notAllowed: RouteInit = {
  name: "method-not-allowed",
  match: {
    pathSpecifier: { case: "prefix", value: "/" },
    headers: [{ ...methodIn(methods), invertMatch: true }],
  },
  action: { case: "directResponse", value: { status: 405 } },
  responseHeadersToAdd: [{ header: { key: "allow", value: methods.join(", ") } }],
};

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
    name: targetName(route, variant),
    weight,
    responseHeadersToAdd: told(spec, variant),
  }));
  const takeOvers = Math.max(...targets.map(({ variant }) => chainOf(route, variant).length)) - 1;
  const [only] = clusters;
  const clusterSpecifier: ActionInit["clusterSpecifier"] =
    clusters.length === 1 && only
      ? { case: "cluster", value: only.name }
      : { case: "weightedClusters", value: { clusters } };
  const single = clusters.length === 1 ? targets[0] : undefined;
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
        ...behaviour(spec, { drill: rule.drill, takeOvers }),
      },
    },
    ...(takeOvers > 0 ? { requestBodyBufferLimit: maxBodyKept } : {}),
    responseHeadersToAdd: single ? told(spec, single.variant) : [],
    ...(rule.drill && spec.fault
      ? { typedPerFilterConfig: { [faultFilterName]: faultOnRoute(spec.fault) } }
      : {}),
  };
}

/** Bytes of a request that are kept until a pod has it, for one that takes over: some images fit. */
const maxBodyKept = 4n << 20n;

/** Says which variant answered, over whatever a pod says. */
function told({ tellVariant }: RouteSpec, { fallback, name }: Variant) {
  const value = fallback.length > 0 ? answeringVariant : name;
  const header = { key: variantHeader, value };
  return tellVariant ? [{ header, appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD }] : [];
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
