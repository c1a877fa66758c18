import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { countsTokens } from "../route/index.ts";
import { type AttachPoint, attachmentsOf } from "./attach.ts";

/** Root id of the filter that reads bodies. */
export const tokenPluginName = "weir-token-limit";

/** It runs after weir.wasm, which chooses the variant that it tells answers apart by. */
export const tokenFilterPriority = 5;

/** Origin of its configuration. */
export const tokenConfigOrigin = "spec.tokens, spec.rateLimit of the routes";

/**
 * Routes of a point whose tokens are counted there: where the rate limit runs,
 * for its tenants are limited; where there is none, at the first attachment.
 */
export function countedAt(point: AttachPoint): RouteState[] {
  return point.states.filter(({ route }, index) => {
    const spec = route?.spec;
    if (route === undefined || spec === undefined || !countsTokens(spec)) return false;
    if (spec.rateLimit) return (point.filters[index] ?? []).includes("rateLimit");
    return point.filters[index]?.length !== 0 || attachmentsOf(route).length === 1;
  });
}

/** The object that loads it is named after the one that loads weir.wasm. */
export function tokenPoint(point: AttachPoint): AttachPoint {
  return { ...point, name: `${point.name}-tokens` };
}

/** Name that istiod gives the filter in the chain, from 1.30 on and before. */
export function tokenFilterName(point: AttachPoint, since30: boolean): string {
  const kind = since30 ? "trafficextension" : "wasmplugin";
  const { name, namespace } = tokenPoint(point);
  return `extensions.istio.io/${kind}/${namespace}.${name}`;
}
