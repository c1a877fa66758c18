import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { type Problem, routeName } from "../../route/index.ts";
import { type AttachPoint, attachPoints, filteredAt } from "../attach.ts";
import { checkForIstio } from "../check/check.ts";
import { checkForGatewayApi } from "../check/gateway-api.ts";
import { checkSelectedHosts } from "../check/shared-hosts.ts";
import type { Manifest } from "../manifest.ts";
import { authorizationPolicy } from "../objects/authorization-policy.ts";
import { checkSharedHosts, destinationRules, hostsOf } from "../objects/destination-rule.ts";
import { envoyFilter } from "../objects/envoy-filter.ts";
import { httpRoute, httpRouteRuleNames } from "../objects/http-route.ts";
import { reportCluster } from "../objects/report.ts";
import { scalers } from "../objects/scaler.ts";
import { selectFilter } from "../objects/select-filter.ts";
import { serviceEntries } from "../objects/service-entry.ts";
import { checkTelemetry, telemetry } from "../objects/telemetry.ts";
import { trafficExtension } from "../objects/traffic-extension.ts";
import { httpRouteNamesOf, virtualServices } from "../objects/virtual-service.ts";
import { wasmPlugin } from "../objects/wasm-plugin.ts";
import type { RouteProblem } from "../problem.ts";
import { countedAt } from "../token-filter.ts";
import { atLeast, defaultIstioVersion, parseIstioVersion } from "../version.ts";
import { checkModules } from "./module-urls.ts";
import { modulePlacements } from "./modules.ts";
import { checkOptions, type RenderOptions } from "./options.ts";

/** Manifests, or why there are none. */
export interface Rendering {
  /** In the order to apply them; empty when there are problems. */
  manifests: Manifest[];
  /** What the target cannot express, of all routes at once; empty when there are manifests. */
  problems: RouteProblem[];
}

/** What the target cannot express of a route, before anything is rendered. */
export function targetProblems(route: InferenceRoute, options: RenderOptions): Problem[] {
  return options.target === "gateway-api"
    ? checkForGatewayApi(route, options)
    : checkForIstio(route);
}

/**
 * Renders routes as Istio objects; pure. The routes must have passed Weir's own
 * validation; what Istio cannot express comes back as problems, all at once.
 *
 * Subsets come before the routes that name them and filters before the matches
 * on what they write, so that applying in order never leads a request nowhere.
 */
export function renderIstio(states: RouteState[], options: RenderOptions = {}): Rendering {
  const ordered = inOrder(states);
  const routes = ordered.flatMap((state) => state.route ?? []);
  const gatewayApi = options.target === "gateway-api";
  const problems = checkOptions(options);
  for (const route of routes) {
    const id = routeName(route);
    problems.push(...targetProblems(route, options).map((found) => ({ ...found, route: id })));
  }
  problems.push(...checkSelectedHosts(routes, options.target));
  const points = attachPoints(ordered);
  const hosts = hostsOf(routes);
  problems.push(...checkSharedHosts(hosts), ...checkTelemetry(points));
  problems.push(...checkModules(points, routes, options));
  const version = parseIstioVersion(options.istioVersion ?? defaultIstioVersion);
  if (problems.length > 0 || typeof version === "string") return { manifests: [], problems };

  const since30 = atLeast(version, { major: 1, minor: 30 });
  const extension = since30 ? trafficExtension : wasmPlugin;
  const ruleNames = gatewayApi ? httpRouteRuleNames : httpRouteNamesOf;
  const manifests = [
    ...serviceEntries(routes),
    ...destinationRules(hosts),
    ...points.flatMap((point) =>
      hasFilters(point) ? (reportCluster(point, options.report) ?? []) : [],
    ),
    ...modulePlacements(points, routes, options).map(({ point, code, holdsHeaders }) =>
      (holdsHeaders ? selectFilter : extension)(point, code),
    ),
    ...points.flatMap((point) => envoyFilter(point, ruleNames, since30) ?? []),
    ...routes.flatMap((route) => authorizationPolicy(route) ?? []),
    ...points.flatMap((point) => telemetry(point) ?? []),
    ...(gatewayApi ? routes.map((route) => httpRoute(route, options)) : virtualServices(routes)),
    ...routes.flatMap(scalers),
  ];
  return { manifests, problems: [] };
}

/** Whether a filter of ours runs there at all. */
function hasFilters(point: AttachPoint): boolean {
  return filteredAt(point).length > 0 || countedAt(point).length > 0;
}

/** By namespace and name, whatever order the routes came in. */
function inOrder(states: RouteState[]): RouteState[] {
  const id = ({ route }: RouteState) => routeName(route as InferenceRoute);
  return states.filter(({ route }) => route !== undefined).sort((a, b) => (id(a) < id(b) ? -1 : 1));
}
