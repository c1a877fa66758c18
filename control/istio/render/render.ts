import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { Problem } from "../../route/index.ts";
import {
  arrivalConfig,
  besideWeir,
  copyConfig,
  headerModule,
  meshHosts,
  moduleConfig,
  type Place,
  routeName,
} from "../../route/index.ts";
import { type AttachPoint, attachPoints, filteredAt } from "../attach.ts";
import { checkForIstio } from "../check/check.ts";
import { checkForGatewayApi } from "../check/gateway-api.ts";
import type { Manifest } from "../manifest.ts";
import {
  arrivalConfigOrigin,
  arrivalPoint,
  clampedAt,
  copyConfigOrigin,
} from "../objects/arrival.ts";
import { authorizationPolicy } from "../objects/authorization-policy.ts";
import { checkSharedHosts, destinationRules, hostsOf } from "../objects/destination-rule.ts";
import { envoyFilter } from "../objects/envoy-filter.ts";
import { httpRoute, httpRouteRuleNames } from "../objects/http-route.ts";
import { checkReportTo, type ReportTo, reportCluster, reportTarget } from "../objects/report.ts";
import { scalers } from "../objects/scaler.ts";
import { serviceEntries } from "../objects/service-entry.ts";
import { checkTelemetry, telemetry } from "../objects/telemetry.ts";
import {
  failStrategyOf,
  filterPriority,
  pluginConfigOrigin,
  pluginName,
  trafficExtension,
} from "../objects/traffic-extension.ts";
import { httpRouteNamesOf, virtualService } from "../objects/virtual-service.ts";
import { wasmPlugin } from "../objects/wasm-plugin.ts";
import type { RouteProblem } from "../problem.ts";
import {
  countedAt,
  tokenConfigOrigin,
  tokenFilterPriority,
  tokenPluginName,
  tokenPoint,
} from "../token-filter.ts";
import { atLeast, defaultIstioVersion, parseIstioVersion } from "../version.ts";

/**
 * Where the proxies find the filters when nothing else is said: a file that
 * the proxies' image or a mounted volume brings along. There is no registry
 * that every cluster can reach, so none is assumed.
 */
export const defaultWasmUrl = "file:///etc/weir/weir.wasm";

/** The API of the manifests: Istio's own, or the Gateway API. */
export type RenderTarget = "istio" | "gateway-api";

/** What manifests are for, and where the proxies find the filters. */
export interface RenderOptions {
  /** Who routes: Istio's VirtualServices, or HTTPRoutes of the Gateway API. Absent: "istio". */
  target?: RenderTarget | undefined;
  /** CRDs of the Gateway API in the cluster; "experimental" has retries. Absent: "standard". */
  gatewayApiChannel?: "standard" | "experimental" | undefined;
  /** Istio the manifests are for, "1.30" or "1.30.3"; 1.28 at least. Absent: 1.30. */
  istioVersion?: string | undefined;
  /**
   * file, http, https or oci URL of weir.wasm. Absent: {@link defaultWasmUrl}. Where it ends in
   * "/weir.wasm" and routes need weir-full.wasm, that is taken from beside it.
   */
  wasmUrl?: string | undefined;
  /** SHA-256 of what wasmUrl names, 64 hex digits. Absent: the code is not checked. */
  wasmSha256?: string | undefined;
  /** URL of token-limit.wasm, for routes that count tokens. Absent: beside weir.wasm. */
  tokenLimitWasmUrl?: string | undefined;
  /** Where the filters report to. Absent: nowhere. */
  report?: ReportTo | undefined;
  /**
   * The routes are all that there are, so that no one else renders one for the same proxies.
   * Absent: a gateway may have other instances of the filters, and so may the proxies of a lone route.
   */
  isComplete?: boolean | undefined;
}

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
  const points = attachPoints(ordered);
  const hosts = hostsOf(routes);
  problems.push(...checkSharedHosts(hosts), ...checkTelemetry(points));
  problems.push(...checkModules(points, routes, options));
  const version = parseIstioVersion(options.istioVersion ?? defaultIstioVersion);
  if (problems.length > 0 || typeof version === "string") return { manifests: [], problems };

  const wasmUrl = options.wasmUrl ?? defaultWasmUrl;
  const since30 = atLeast(version, { major: 1, minor: 30 });
  const extension = since30 ? trafficExtension : wasmPlugin;
  const ruleNames = gatewayApi ? httpRouteRuleNames : httpRouteNamesOf;
  const manifests = [
    ...serviceEntries(routes),
    ...destinationRules(hosts),
    ...points.flatMap((point) =>
      hasFilters(point) ? (reportCluster(point, options.report) ?? []) : [],
    ),
    ...points.flatMap((point) => {
      const served = filteredAt(point);
      if (served.length === 0) return [];
      return extension(point, {
        wasmUrl: besideWeir(wasmUrl, headerModule(point.states)) ?? wasmUrl,
        wasmSha256: options.wasmSha256,
        pluginConfig: pluginConfig(point, options),
        pluginName,
        priority: filterPriority,
        failStrategy: strategyFor(served),
        origin: pluginConfigOrigin,
      });
    }),
    ...routes.flatMap((route) => {
      const point = arrivalPoint(route);
      const config = arrivalConfig(route);
      if (point === undefined || config === undefined) return [];
      return extension(point, {
        wasmUrl: besideWeir(wasmUrl, "weir-full") ?? wasmUrl,
        wasmSha256: options.wasmSha256,
        pluginConfig: config,
        pluginName,
        priority: filterPriority,
        failStrategy: failStrategyOf([route]),
        origin: arrivalConfigOrigin,
      });
    }),
    ...routes.flatMap((route) => {
      const point = arrivalPoint(route);
      const config = copyConfig(route);
      const url = options.tokenLimitWasmUrl ?? besideWeir(wasmUrl, "token-limit");
      if (point === undefined || config === undefined || url === undefined) return [];
      return extension(tokenPoint(point), {
        wasmUrl: url,
        pluginConfig: config,
        pluginName: tokenPluginName,
        priority: tokenFilterPriority,
        failStrategy: failStrategyOf([route]),
        origin: copyConfigOrigin,
      });
    }),
    ...points.flatMap((point) => {
      const states = countedAt(point);
      const url = options.tokenLimitWasmUrl ?? besideWeir(wasmUrl, "token-limit");
      if (states.length === 0 || url === undefined) return [];
      return extension(tokenPoint(point), {
        wasmUrl: url,
        pluginConfig: moduleConfig(
          states,
          reportTarget(point, options.report),
          placeOf(point, options),
          "token-limit",
        ),
        pluginName: tokenPluginName,
        priority: tokenFilterPriority,
        failStrategy: strategyFor(states),
        origin: tokenConfigOrigin,
      });
    }),
    ...points.flatMap((point) => envoyFilter(point, ruleNames, since30) ?? []),
    ...routes.flatMap((route) => authorizationPolicy(route) ?? []),
    ...points.flatMap((point) => telemetry(point) ?? []),
    ...routes.map((route) => (gatewayApi ? httpRoute(route, options) : virtualService(route))),
    ...routes.flatMap(scalers),
  ];
  return { manifests, problems: [] };
}

/** Whether a filter of ours runs there at all. */
function hasFilters(point: AttachPoint): boolean {
  return filteredAt(point).length > 0 || countedAt(point).length > 0;
}

function strategyFor(states: RouteState[]) {
  return failStrategyOf(states.flatMap(({ route }) => route ?? []));
}

/** What is particular to the filters at a point: which of them run, and who else may. */
function placeOf(point: AttachPoint, { isComplete }: RenderOptions): Place {
  const { states, side, namespace } = point;
  const hosts = side === "gateway" ? undefined : meshHosts(states, namespace);
  return {
    ...(hosts ? { hosts: (state) => hosts.get(state) ?? [] } : {}),
    ...((states.length === 1 || side === "gateway") && !isComplete ? { shared: true } : {}),
  };
}

function pluginConfig(point: AttachPoint, options: RenderOptions): JsonObject {
  const filters = new Map(point.states.map((state, index) => [state, point.filters[index] ?? []]));
  return moduleConfig(filteredAt(point), reportTarget(point, options.report), {
    ...placeOf(point, options),
    only: (state) => filters.get(state) ?? [],
  });
}

/** By namespace and name, whatever order the routes came in. */
function inOrder(states: RouteState[]): RouteState[] {
  const id = ({ route }: RouteState) => routeName(route as InferenceRoute);
  return states.filter(({ route }) => route !== undefined).sort((a, b) => (id(a) < id(b) ? -1 : 1));
}

/** A digest is of one file: where another of the modules is loaded, that must be said. */
function checkModules(points: AttachPoint[], routes: InferenceRoute[], options: RenderOptions) {
  const wasmUrl = options.wasmUrl ?? defaultWasmUrl;
  const found: RouteProblem[] = [];
  const tokenUrl = options.tokenLimitWasmUrl ?? besideWeir(wasmUrl, "token-limit");
  // An image holds one module: where weir.wasm comes in one, the other has no place beside it.
  const counted = [
    ...points.flatMap(countedAt),
    ...routes.filter(clampedAt).map((route) => ({ route })),
  ];
  for (const { route } of tokenUrl === undefined ? counted : []) {
    found.push({
      route: routeName(route),
      code: "token-limit-wasm-url",
      path: "spec.tokens",
      message: `cannot locate token-limit.wasm next to wasm url "${wasmUrl}": give its URL with --token-limit-wasm-url`,
    });
  }
  const fullUrl = besideWeir(wasmUrl, "weir-full");
  if (options.wasmSha256 === undefined || fullUrl === wasmUrl) return found;
  const full = points.find(({ states }) => headerModule(states) === "weir-full")?.routes[0];
  const arrival = routes.find((route) => arrivalPoint(route) !== undefined);
  if (full !== undefined || arrival !== undefined) {
    found.push({
      route: full ?? routeName(arrival),
      code: "wasm-sha256",
      path: "wasmSha256",
      message: `wasm sha256 belongs to ${wasmUrl}, but the routes need weir-full.wasm: give the URL and digest of weir-full.wasm`,
    });
  }
  return found;
}

function checkOptions({
  istioVersion,
  wasmUrl,
  tokenLimitWasmUrl,
  wasmSha256,
  report,
}: RenderOptions): RouteProblem[] {
  const found: RouteProblem[] = [];
  const version = parseIstioVersion(istioVersion ?? defaultIstioVersion);
  if (typeof version === "string") {
    found.push({ route: "", code: "istio-version", path: "istioVersion", message: version });
  }
  for (const [path, what, url] of [
    ["wasmUrl", "wasm url", wasmUrl],
    ["tokenLimitWasmUrl", "token limit wasm url", tokenLimitWasmUrl],
  ] as const) {
    if (url === undefined || /^(?:file:\/\/\/|https?:\/\/[^/]|oci:\/\/[^/])\S*$/.test(url))
      continue;
    const message = `${what} "${url}" must start with file:///, http://, https:// or oci://`;
    found.push({ route: "", code: "wasm-url", path, message });
  }
  if (wasmSha256 !== undefined && !/^[0-9a-f]{64}$/.test(wasmSha256)) {
    const message = `wasm sha256 "${wasmSha256}" must be 64 lower-case hex digits`;
    found.push({ route: "", code: "wasm-sha256", path: "wasmSha256", message });
  }
  const problem = report && checkReportTo(report);
  if (problem !== undefined)
    found.push({ route: "", code: "report-to", path: "reportTo", message: problem });
  return found;
}
