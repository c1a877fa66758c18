import type { MessageInitShape } from "@bufbuild/protobuf";
import { HeaderValueOption_HeaderAppendAction as AppendAction } from "../../gen/envoy/config/core/v3/base_pb.ts";
import type {
  HeaderMatcherSchema,
  RouteActionSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { type Condition, type Rule, variantHeader } from "../../route/index.ts";
import { clusterName } from "./cluster.ts";
import type { RouteFields } from "./except.ts";
import { faultFilterName, faultOnRoute } from "./fault.ts";
import { behaviour } from "./route-action.ts";

type ActionInit = MessageInitShape<typeof RouteActionSchema>;

/** An entry for a rule of a route. */
export function routeEntry(route: InferenceRoute, rule: Rule): RouteFields {
  const spec = route.spec as RouteSpec;
  const { mirrorTo, targets } = rule;
  const clusters = targets.map(({ variant, weight }) => ({
    name: clusterName(route, variant.name),
    weight,
    responseHeadersToAdd: told(spec, variant.name),
  }));
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
        ...behaviour(spec, rule.drill),
      },
    },
    responseHeadersToAdd: single ? told(spec, single.variant.name) : [],
    ...(rule.drill && spec.fault
      ? { typedPerFilterConfig: { [faultFilterName]: faultOnRoute(spec.fault) } }
      : {}),
  };
}

/** Says which variant answered, over whatever a pod says. */
function told({ tellVariant }: RouteSpec, variant: string) {
  const header = { key: variantHeader, value: variant };
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
