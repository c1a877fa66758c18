import type { MessageInitShape } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "../../gen/envoy/config/core/v3/base_pb.ts";
import type {
  HeaderMatcherSchema,
  RouteActionSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import { type Condition, type Rule, variantHeader } from "../../route/index.ts";
import type { RouteFields } from "./except.ts";
import { answeringVariant, chainOf, clusterName, targetName } from "./failover.ts";
import { faultFilterName, faultOnRoute } from "./fault.ts";
import { behaviour } from "./route-action.ts";

type ActionInit = MessageInitShape<typeof RouteActionSchema>;

/** An entry for a rule of a route. */
export function routeEntry(route: InferenceRoute, rule: Rule): RouteFields {
  const spec = route.spec as RouteSpec;
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

function matcherOf({ header, value }: Condition): MessageInitShape<typeof HeaderMatcherSchema> {
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
