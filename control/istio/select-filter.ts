import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { readsBodies, selectedRoutes } from "../route/index.ts";
import type { AttachPoint } from "./attach.ts";

/** Root id of the filter that chooses among the routes of a host. */
export const selectPluginName = "weir-route-select";

/** It runs before weir.wasm, which goes by the route that it chose. */
export const selectFilterPriority = 20;

/** Origin of its configuration. */
export const selectConfigOrigin = "spec.match, spec.models of the routes";

/**
 * The routes among which the proxies of a point choose, also those that attach
 * elsewhere or nowhere: where requests arrive at pods the choice was made before.
 */
export function selectedAt({ others, side, states }: AttachPoint): RouteState[] {
  if (side === "server") return [];
  const all = [...states, ...others];
  const selected = selectedRoutes(all.flatMap(({ route }) => route ?? []));
  return all.filter(({ route }) => route !== undefined && selected.has(route));
}

/** Whether the filter has to read bodies there, for which it holds the headers of requests. */
export function readsBodiesAt(point: AttachPoint): boolean {
  return selectedAt(point).some(({ route }) => route !== undefined && readsBodies(route));
}

/** The object that loads it is named after the one that loads weir.wasm. */
export function selectPoint(point: AttachPoint): AttachPoint {
  return { ...point, name: `${point.name}-select` };
}
