import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { besideWeir, type FilterModule, headerModule, routeName } from "../../route/index.ts";
import type { AttachPoint } from "../attach.ts";
import { arrivalPoint, clampedAt } from "../objects/arrival.ts";
import type { RouteProblem } from "../problem.ts";
import { selectedAt } from "../select-filter.ts";
import { countedAt } from "../token-filter.ts";
import { defaultWasmUrl, type RenderOptions } from "./options.ts";

/** Where the proxies load a module from; undefined where no one can tell. */
export function urlOf(
  module: FilterModule,
  { routeSelectWasmUrl, tokenLimitWasmUrl, wasmUrl = defaultWasmUrl }: RenderOptions,
): string | undefined {
  const own: Partial<Record<FilterModule, string | undefined>> = {
    "token-limit": tokenLimitWasmUrl,
    "route-select": routeSelectWasmUrl,
  };
  return own[module] ?? besideWeir(wasmUrl, module);
}

/** The module that decides over headers at a point. */
export function headerModuleAt({ others, states }: AttachPoint): FilterModule {
  return headerModule([...states, ...others]);
}

/** A digest is of one file: where another of the modules is loaded, that must be said. */
export function checkModules(
  points: AttachPoint[],
  routes: InferenceRoute[],
  options: RenderOptions,
): RouteProblem[] {
  const wasmUrl = options.wasmUrl ?? defaultWasmUrl;
  const found: RouteProblem[] = [];
  const tokenUrl = urlOf("token-limit", options);
  // An image holds one module: where weir.wasm comes in one, the others have no place beside it.
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
  const selecting = urlOf("route-select", options) === undefined ? points.flatMap(selectedAt) : [];
  for (const { route } of selecting) {
    found.push({
      route: routeName(route),
      code: "route-select-wasm-url",
      path: "spec.match",
      message: `cannot locate route-select.wasm next to wasm url "${wasmUrl}": give its URL with --route-select-wasm-url`,
    });
  }
  const fullUrl = besideWeir(wasmUrl, "weir-full");
  if (options.wasmSha256 === undefined || fullUrl === wasmUrl) return found;
  const full = points.find((point) => headerModuleAt(point) === "weir-full")?.routes[0];
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
