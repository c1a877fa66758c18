import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import {
  arrivalConfig,
  copyConfig,
  type FilterModule,
  meshHosts,
  moduleConfig,
  type Place,
} from "../../route/index.ts";
import { type AttachPoint, filteredAt, withSharing } from "../attach.ts";
import { arrivalConfigOrigin, arrivalPoint, copyConfigOrigin } from "../objects/arrival.ts";
import { reportTarget } from "../objects/report.ts";
import {
  type FilterCode,
  failStrategyOf,
  filterPriority,
  pluginConfigOrigin,
  pluginName,
} from "../objects/traffic-extension.ts";
import {
  readsBodiesAt,
  selectConfigOrigin,
  selectedAt,
  selectFilterPriority,
  selectPluginName,
  selectPoint,
} from "../select-filter.ts";
import {
  countedAt,
  tokenConfigOrigin,
  tokenFilterPriority,
  tokenPluginName,
  tokenPoint,
} from "../token-filter.ts";
import { headerModuleAt, urlOf } from "./module-urls.ts";
import type { RenderOptions } from "./options.ts";

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
  /** It holds the headers of a request until it has read of the body. */
  holdsHeaders: boolean;
}

/** Which modules run where: at each point at most one to choose among routes, one for headers and one for bodies. */
export function modulePlacements(
  points: readonly AttachPoint[],
  routes: readonly InferenceRoute[],
  options: RenderOptions,
): PlacedModule[] {
  const placements = [
    ...points.flatMap((point) => selectsAt(point, options)),
    ...points.flatMap((point) => headersAt(point, options)),
    ...routes.flatMap(arrivalsOf),
    ...routes.flatMap(copiesOf),
    ...points.flatMap((point) => tokensAt(point, options)),
  ];
  return placements.flatMap((each) => placed(each, options));
}

/** Without a URL a module is left out: checkModules has reported it. */
function placed(
  { point, module, config, origin, routes }: Placement,
  options: RenderOptions,
): PlacedModule[] {
  const common = { pluginConfig: config, failStrategy: failStrategyOf(routes), origin };
  const url = urlOf(module, options);
  if (url === undefined) return [];
  if (module === "token-limit") {
    const code = { wasmUrl: url, pluginName: tokenPluginName, priority: tokenFilterPriority };
    return [{ point: tokenPoint(point), code: { ...code, ...common }, holdsHeaders: false }];
  }
  if (module === "route-select") {
    const code = { wasmUrl: url, pluginName: selectPluginName, priority: selectFilterPriority };
    const holdsHeaders = readsBodiesAt(point);
    return [{ point: selectPoint(point), code: { ...code, ...common }, holdsHeaders }];
  }
  const { wasmSha256 } = options;
  const code = { wasmUrl: url, wasmSha256, pluginName, priority: filterPriority };
  return [{ point, code: { ...code, ...common }, holdsHeaders: false }];
}

/** The module that chooses among the routes of a host. */
function selectsAt(point: AttachPoint, options: RenderOptions): Placement[] {
  const states = selectedAt(point);
  if (states.length === 0) return [];
  return [
    {
      point,
      module: "route-select",
      config: moduleConfig(states, undefined, placeOf(point, options), "route-select"),
      origin: selectConfigOrigin,
      routes: routesOf(states),
    },
  ];
}

/** The module that reads headers, where any of its filters runs. */
function headersAt(point: AttachPoint, options: RenderOptions): Placement[] {
  const served = filteredAt(point);
  if (served.length === 0) return [];
  return [
    {
      point,
      module: headerModuleAt(point),
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
      config: moduleConfig(
        withSharing(point, states),
        target,
        placeOf(point, options),
        "token-limit",
      ),
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
  const { others, states, side, namespace } = point;
  const all = [...states, ...others];
  const hosts = side === "gateway" ? undefined : meshHosts(all, namespace);
  const hostsOf = (state: RouteState) => hosts?.get(state) ?? state.route?.spec?.hosts ?? [];
  // What others have besides is none of this point's business.
  const shared = new Set(states.flatMap(hostsOf));
  return {
    ...(hosts || others.length > 0
      ? { hosts: (state) => hostsOf(state).filter((host) => shared.has(host)) }
      : {}),
    ...((states.length === 1 || side === "gateway") && !isComplete ? { shared: true } : {}),
  };
}

function pluginConfig(point: AttachPoint, options: RenderOptions): JsonObject {
  const filters = new Map(point.states.map((state, index) => [state, point.filters[index] ?? []]));
  return moduleConfig(withSharing(point, filteredAt(point)), reportTarget(point, options.report), {
    ...placeOf(point, options),
    only: (state) => filters.get(state) ?? [],
  });
}
