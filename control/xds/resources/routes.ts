import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type HeaderMatcherSchema,
  RetryPolicySchema,
  type RouteAction,
  type RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  type RouteSchema,
  type VirtualHostSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../gen/envoy/config/route/v3/route_pb.ts";
import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders, routeName, toBuckets } from "../../route/index.ts";
import { clusterName } from "./cluster.ts";
import { seconds } from "./common.ts";
import { compressorsOn } from "./compressors.ts";
import { routeConfigName } from "./options.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;
type ActionInit = MessageInitShape<typeof RouteActionSchema>;

/** What may be tried again although a completion is not idempotent: the pod has not seen it. */
const defaultRetryOn = ["connect-failure", "refused-stream", "reset-before-request"];

/** The one route configuration: a virtual host per route. */
export function routeConfiguration(routes: readonly InferenceRoute[]): RouteConfiguration {
  return create(RouteConfigurationSchema, {
    name: routeConfigName,
    virtualHosts: routes.map(virtualHost),
  });
}

function virtualHost(route: InferenceRoute): MessageInitShape<typeof VirtualHostSchema> {
  const shadow = route.spec?.shadow;
  return {
    name: routeName(route),
    domains: route.spec?.hosts ?? [],
    // A pod must not be able to speak in Weir's name.
    responseHeadersToRemove: [
      ...controlHeaders,
      shadow?.modeHeader || "x-shadow-mode",
      shadow?.tagHeader || "x-traffic-tag",
    ],
    typedPerFilterConfig: compressorsOn(route),
    routes: [...shadowRoutes(route), ...variantRoutes(route), fallback(route)],
  };
}

/** Tagged requests: to the shadow variant itself, or to their own variant with a copy to the shadow. */
function shadowRoutes(route: InferenceRoute): RouteInit[] {
  const spec = route.spec as RouteSpec;
  if (!spec.shadow) return [];
  const tagged = header(spec.shadow.modeHeader || "x-shadow-mode", "true");
  const shadow = clusterName(route, spec.shadow.variant);
  if (spec.shadow.mode === "divert")
    return [
      entry(route, "divert", [tagged], { clusterSpecifier: { case: "cluster", value: shadow } }),
    ];
  const requestMirrorPolicies = [mirrorTo(shadow)];
  return [
    ...liveVariants(spec).map((variant) =>
      entry(route, `mirror-${variant.name}`, [tagged, header("x-weir-variant", variant.name)], {
        clusterSpecifier: { case: "cluster", value: clusterName(route, variant.name) },
        requestMirrorPolicies,
      }),
    ),
    // Without a canary no variant is chosen before: the weights decide.
    entry(route, "mirror", [tagged], {
      clusterSpecifier: weightedClusters(route),
      requestMirrorPolicies,
    }),
  ];
}

function mirrorTo(cluster: string): MessageInitShape<typeof RouteAction_RequestMirrorPolicySchema> {
  return { cluster, disableShadowHostSuffixAppend: true };
}

/** What the canary filter chose. */
function variantRoutes(route: InferenceRoute): RouteInit[] {
  return liveVariants(route.spec as RouteSpec).map((variant) =>
    entry(route, `variant-${variant.name}`, [header("x-weir-variant", variant.name)], {
      clusterSpecifier: { case: "cluster", value: clusterName(route, variant.name) },
    }),
  );
}

/** Plain weights, so that a filter that is not there costs stickiness and nothing else. */
function fallback(route: InferenceRoute): RouteInit {
  return entry(route, "weights", [], { clusterSpecifier: weightedClusters(route) });
}

function weightedClusters(route: InferenceRoute) {
  const clusters = liveVariants(route.spec as RouteSpec)
    .filter(({ weight }) => weight > 0)
    .map(({ name, weight }) => ({
      name: clusterName(route, name),
      weight: toBuckets(weight),
    }));
  return { case: "weightedClusters" as const, value: { clusters } };
}

function liveVariants(spec: RouteSpec) {
  return spec.variants.filter(({ name }) => name !== spec.shadow?.variant);
}

function header(name: string, value: string): MessageInitShape<typeof HeaderMatcherSchema> {
  return {
    name,
    headerMatchSpecifier: {
      case: "stringMatch",
      value: { matchPattern: { case: "exact", value } },
    },
  };
}

function entry(
  route: InferenceRoute,
  name: string,
  headers: MessageInitShape<typeof HeaderMatcherSchema>[],
  action: ActionInit,
): RouteInit {
  return {
    name: `${routeName(route)}/${name}`,
    match: { pathSpecifier: { case: "prefix", value: "/" }, headers },
    action: {
      case: "route",
      value: behave(create(RouteActionSchema, action), route.spec as RouteSpec),
    },
  };
}

/** Adds to an action how the route treats its pods. */
function behave(action: RouteAction, { resilience }: RouteSpec): RouteAction {
  action.timeout = resilience?.timeout ?? seconds(0);
  const retries = resilience?.retries;
  if (retries && retries.attempts > 0) {
    action.retryPolicy = create(RetryPolicySchema, {
      retryOn: (retries.retryOn.length > 0 ? retries.retryOn : defaultRetryOn).join(","),
      numRetries: retries.attempts,
      ...(retries.perTryTimeout ? { perTryTimeout: retries.perTryTimeout } : {}),
    });
  }
  return action;
}
