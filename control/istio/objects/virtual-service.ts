import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import {
  chosenRulesOf,
  type HostGroup,
  hostGroups,
  routeName,
  rulesOf,
} from "../../route/index.ts";
import { defined, type Manifest, metadataFor, type Origin } from "../manifest.ts";
import { namespaceOf, objectName, sharedHostsName } from "../names.ts";
import { destination } from "./backend.ts";
import { exportTo } from "./export-to.ts";
import { corsPolicy, httpRules } from "./http-rules.ts";

/**
 * The VirtualServices of routes: one of each route, and one of the routes that
 * share a host, as sidecars do not merge several of one host.
 */
export function virtualServices(routes: readonly InferenceRoute[]): Manifest[] {
  return hostGroups(routes).map((group) =>
    group.selects
      ? sharedVirtualService(group)
      : virtualService(group.routes[0] as InferenceRoute, group.hosts),
  );
}

/** The VirtualService of a route; without hosts and gateways when another one delegates to it. */
function virtualService(route: InferenceRoute, hosts: string[]): Manifest {
  const spec = route.spec as RouteSpec;
  const rules = rulesOf(route);
  const delegate = spec.mesh?.delegate === true;
  const from = delegate
    ? "spec.mesh.delegate, spec.variants"
    : "spec.hosts, spec.gateways, spec.variants";
  const origins: Origin[] = [
    { path: [], text: `VirtualService of ${routeName(route)}: ${from}` },
    ...rules.map((rule, index) => ({ path: ["spec", "http", index], text: rule.origin })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: metadataFor(objectName(route), namespaceOf(route), [routeName(route)]),
      spec: defined({
        hosts: delegate ? undefined : hosts,
        gateways: delegate || spec.gateways.length === 0 ? undefined : spec.gateways,
        exportTo: exportTo(spec),
        http: httpRules(route, rules),
      }),
    },
    origins,
  };
}

/** The VirtualService of routes that a filter chooses among: by the header that it writes, and what it gave to none. */
function sharedVirtualService({ hosts, rest, routes }: HostGroup): Manifest {
  const [first] = routes as [InferenceRoute, ...InferenceRoute[]];
  const spec = first.spec as RouteSpec;
  const namespace = namespaceOf(first);
  const chosen = routes
    .filter((route) => route !== rest)
    .map((route) => ({ route, rules: chosenRulesOf(route) }));
  const parts = rest ? [...chosen, { route: rest, rules: rulesOf(rest) }] : chosen;
  const names = routes.map(routeName);
  const texts = parts.flatMap(({ route, rules }) =>
    rules.map(({ origin }) => `${origin} of ${routeName(route)}`),
  );
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: metadataFor(sharedHostsName(hosts), namespace, names),
      spec: defined({
        hosts,
        gateways: spec.gateways.length === 0 ? undefined : spec.gateways,
        exportTo: exportTo(spec),
        http: [
          ...parts.flatMap(({ route, rules }) => httpRules(route, rules, namespace)),
          ...(rest ? [] : [notRouted(first)]),
        ],
      }),
    },
    origins: [
      {
        path: [],
        text: `VirtualService of ${names.join(", ")}: spec.hosts, spec.gateways, spec.match, spec.variants`,
      },
      ...[...texts, ...(rest ? [] : ["no route of these hosts takes the request"])].map(
        (text, index) => ({ path: ["spec", "http", index], text }),
      ),
    ],
  };
}

/**
 * Answers 404. Without it, requests would have no route before a filter chose
 * one, and with none, or with a direct response, the proxy knows neither how much of
 * a body it may hold nor which pages may read. No request gets to its destination.
 */
function notRouted(route: InferenceRoute): JsonObject {
  const spec = route.spec as RouteSpec;
  const [variant] = spec.variants as [Variant];
  return defined({
    name: `${routeName(route)}/no-route`,
    route: [{ destination: destination(spec, variant) }],
    retries: { attempts: 0 },
    fault: { abort: { percentage: { value: 100 }, httpStatus: 404 } },
    corsPolicy: corsPolicy(spec),
  });
}

/** Names of all http routes of a route, in order. */
export function httpRouteNamesOf(route: InferenceRoute): string[] {
  return rulesOf(route).map((rule) => rule.name);
}
