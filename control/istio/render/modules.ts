import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import {
  arrivalConfig,
  besideWeir,
  copyConfig,
  type FilterModule,
  headerModule,
  meshHosts,
  moduleConfig,
  type Place,
  routeName,
} from "../../route/index.ts";
import { type AttachPoint, filteredAt } from "../attach.ts";
import {
  arrivalConfigOrigin,
  arrivalPoint,
  clampedAt,
  copyConfigOrigin,
} from "../objects/arrival.ts";
import { reportTarget } from "../objects/report.ts";
import {
  type FilterCode,
  failStrategyOf,
  filterPriority,
  pluginConfigOrigin,
  pluginName,
} from "../objects/traffic-extension.ts";
import type { RouteProblem } from "../problem.ts";
import {
  countedAt,
  tokenConfigOrigin,
  tokenFilterPriority,
  tokenPluginName,
  tokenPoint,
} from "../token-filter.ts";
import { defaultWasmUrl, type RenderOptions } from "./options.ts";

/** A module at the proxies of a point. */
interface Placement {
  point: AttachPoint;
  module: FilterModule;
  config: JsonObject;
  /** The fields that the configuration comes from. */
  origin: string;
  /** The routes that it serves there. */
  routes: readonly InferenceRoute[];
}

/** A module as an object of Istio loads it. */
export interface PlacedModule {
  point: AttachPoint;
  code: FilterCode;
}

/** Which modules run where: one for headers, at most, and one for bodies at each point. */
export function modulePlacements(
  points: readonly AttachPoint[],
  routes: readonly InferenceRoute[],
  options: RenderOptions,
): PlacedModule[] {
  const placements = [
    ...points.flatMap((point) => headersAt(point, options)),
    ...routes.flatMap(arrivalsOf),
    ...routes.flatMap(copiesOf),
    ...points.flatMap((point) => tokensAt(point, options)),
  ];
  return placements.flatMap((each) => placed(each, options));
}

/** Without a URL for token-limit.wasm it is left out: {@link checkModules} has reported it. */
function placed(
  { point, module, config, origin, routes }: Placement,
  { wasmUrl = defaultWasmUrl, wasmSha256, tokenLimitWasmUrl }: RenderOptions,
): PlacedModule[] {
  const common = { pluginConfig: config, failStrategy: failStrategyOf(routes), origin };
  const beside = besideWeir(wasmUrl, module);
  if (module !== "token-limit") {
    const code = { wasmUrl: beside ?? wasmUrl, wasmSha256, pluginName, priority: filterPriority };
    return [{ point, code: { ...code, ...common } }];
  }
  const url = tokenLimitWasmUrl ?? beside;
  if (url === undefined) return [];
  const code = { wasmUrl: url, pluginName: tokenPluginName, priority: tokenFilterPriority };
  return [{ point: tokenPoint(point), code: { ...code, ...common } }];
}

/** The module that reads headers, where any of its filters runs. */
function headersAt(point: AttachPoint, options: RenderOptions): Placement[] {
  const served = filteredAt(point);
  if (served.length === 0) return [];
  return [
    {
      point,
      module: headerModule(point.states),
      config: pluginConfig(point, options),
      origin: pluginConfigOrigin,
      routes: routesOf(served),
    },
  ];
}

/** The module that stamps what arrives at the pods of a shadow variant. */
function arrivalsOf(route: InferenceRoute): Placement[] {
  const point = arrivalPoint(route);
  const config = arrivalConfig(route);
  if (point === undefined || config === undefined) return [];
  return [{ point, module: "weir-full", config, origin: arrivalConfigOrigin, routes: [route] }];
}

/** The module that clamps the tokens of copies there. */
function copiesOf(route: InferenceRoute): Placement[] {
  const point = arrivalPoint(route);
  const config = copyConfig(route);
  if (point === undefined || config === undefined) return [];
  return [{ point, module: "token-limit", config, origin: copyConfigOrigin, routes: [route] }];
}

/** The module that counts tokens. */
function tokensAt(point: AttachPoint, options: RenderOptions): Placement[] {
  const states = countedAt(point);
  if (states.length === 0) return [];
  const target = reportTarget(point, options.report);
  return [
    {
      point,
      module: "token-limit",
      config: moduleConfig(states, target, placeOf(point, options), "token-limit"),
      origin: tokenConfigOrigin,
      routes: routesOf(states),
    },
  ];
}

function routesOf(states: readonly RouteState[]): InferenceRoute[] {
  return states.flatMap(({ route }) => route ?? []);
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

/** A digest is of one file: where another of the modules is loaded, that must be said. */
export function checkModules(
  points: AttachPoint[],
  routes: InferenceRoute[],
  options: RenderOptions,
): RouteProblem[] {
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
