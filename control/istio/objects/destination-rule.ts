import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { defined, type Manifest, metadataFor, type Origin } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";
import type { RouteProblem } from "../problem.ts";
import { hostOf } from "./backend.ts";
import { exportTo } from "./export-to.ts";
import { copiesPolicy, trafficPolicy, trafficPolicyOrigins } from "./traffic-policy.ts";

/** The settings of all routes for one host: Istio needs them in one DestinationRule. */
export interface Host {
  host: string;
  namespace: string;
  routes: InferenceRoute[];
  subsets: Map<string, { variant: Variant; origin: string; route: InferenceRoute }>;
}

/**
 * The DestinationRules of some hosts, one each: the routes' variants as subsets,
 * and how the proxies treat the pods. A rule for one route is named after it,
 * one for several after their Service.
 */
export function destinationRules(hosts: readonly Host[]): Manifest[] {
  return hosts.map(destinationRule);
}

/** Conflicts between routes on one Service; found before anything is rendered. */
export function checkSharedHosts(hosts: readonly Host[]): RouteProblem[] {
  const found: RouteProblem[] = [];
  for (const { host, routes: sharing, subsets } of hosts) {
    const [first, ...others] = sharing as [InferenceRoute, ...InferenceRoute[]];
    for (const route of others) {
      const mine = JSON.stringify(policyOf(route));
      if (mine !== JSON.stringify(policyOf(first))) {
        const message = `service ${host} already has other settings from route ${routeName(first)}: routes of one service must have the same resilience, tls and mesh.exportTo`;
        found.push({
          route: routeName(route),
          code: "service-differs",
          path: "spec.resilience",
          message,
        });
      }
      for (const [index, variant] of (route.spec?.variants ?? []).entries()) {
        const known = subsets.get(variant.name);
        if (known === undefined || hostOf(route.spec as RouteSpec, variant) !== host) continue;
        if (labelsText(known.variant) === labelsText(variant)) continue;
        const message = `variant ${variant.name} of service ${host} already has other labels in route ${routeName(known.route)}`;
        found.push({
          route: routeName(route),
          code: "variant-differs",
          path: `spec.variants[${index}].labels`,
          message,
        });
      }
    }
  }
  return found;
}

/** The hosts that routes send requests to, in the order they are first named. */
export function hostsOf(routes: InferenceRoute[]): Host[] {
  const hosts = new Map<string, Host>();
  for (const route of routes) {
    const spec = route.spec as RouteSpec;
    const namespace = namespaceOf(route);
    for (const [index, variant] of spec.variants.entries()) {
      if (variant.inferencePool !== "") continue;
      const host = hostOf(spec, variant);
      const key = `${namespace}/${host}`;
      let known = hosts.get(key);
      if (known === undefined) {
        known = { host, namespace, routes: [], subsets: new Map() };
        hosts.set(key, known);
      }
      if (known.routes.at(-1) !== route) known.routes.push(route);
      if (variant.service === "" && !known.subsets.has(variant.name))
        known.subsets.set(variant.name, { variant, origin: `spec.variants[${index}]`, route });
    }
  }
  return [...hosts.values()];
}

function destinationRule({ host, namespace, routes, subsets }: Host): Manifest {
  const [first] = routes as [InferenceRoute, ...InferenceRoute[]];
  const spec = first.spec as RouteSpec;
  const own = host === (spec.service?.externalHost || spec.service?.name);
  const shared = routes.length > 1;
  // No route's name has a dot, so no route's own rule is replaced.
  const name = shared || !own ? `weir-${host}.service` : objectName(first);
  const names = routes.map(routeName);
  const copies = shared ? undefined : copiesOnly(spec, host);
  const origins: Origin[] = [
    {
      path: [],
      text: `DestinationRule of ${names.join(", ")}: spec.service, spec.variants, spec.resilience`,
    },
    ...trafficPolicyOrigins(spec),
    ...(copies
      ? [{ path: ["spec", "trafficPolicy", "connectionPool"], text: "spec.shadow.maxInFlight" }]
      : []),
    ...[...subsets.values()].map(({ origin, route }, index) => ({
      path: ["spec", "subsets", index],
      text: shared ? `${origin} of ${routeName(route)}` : origin,
    })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: metadataFor(name, namespace, names),
      spec: defined({
        host,
        trafficPolicy: { ...trafficPolicy(spec), ...copies },
        subsets:
          subsets.size > 0
            ? [...subsets.values()].map(({ variant, route }) => subset(variant, route))
            : undefined,
        exportTo: exportTo(spec),
      }),
    },
    origins,
  };
}

/** The bound on copies where a Service is the shadow variant's alone; else its subset has it. */
function copiesOnly(spec: RouteSpec, host: string): JsonObject | undefined {
  const [variant, ...others] = spec.variants.filter((each) => hostOf(spec, each) === host);
  if (variant === undefined || variant.service === "" || others.length > 0) return undefined;
  return copiesPolicy(spec, variant.name);
}

function policyOf(route: InferenceRoute): JsonObject {
  const spec = route.spec as RouteSpec;
  return defined({ policy: trafficPolicy(spec), exportTo: exportTo(spec) });
}

function labelsText(variant: Variant): string {
  return JSON.stringify(sortedRecord(variant.labels));
}

function subset(variant: Variant, { spec }: InferenceRoute): JsonObject {
  return defined({
    name: variant.name,
    labels: labelsOf(variant),
    trafficPolicy: spec && copiesPolicy(spec, variant.name),
  });
}

function labelsOf({ labels }: Variant): JsonObject | undefined {
  return Object.keys(labels).length > 0 ? sortedRecord(labels) : undefined;
}
