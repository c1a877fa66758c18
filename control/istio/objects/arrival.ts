import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../../route/index.ts";
import { type AttachPoint, sortedRecord } from "../attach.ts";
import { namespaceOf, objectName } from "../names.ts";

/** Origin of their configuration. */
export const arrivalConfigOrigin = "spec.shadow: tag, modeHeader, tagHeader, baggage";

/** Origin of the configuration that clamps it there. */
export const copyConfigOrigin = "spec.shadow: maxTokens";

/** Whether what arrives there is clamped as well. */
export function clampedAt({ spec }: InferenceRoute): boolean {
  return spec?.shadow?.arrival !== undefined && spec.shadow.maxTokens !== undefined;
}

/**
 * The sidecars of a route's shadow variant, where what arrives is stamped;
 * undefined where the route names none. They run another configuration than the
 * proxies that send the requests off, so they are a point of their own.
 */
export function arrivalPoint(route: InferenceRoute): AttachPoint | undefined {
  const arrival = route.spec?.shadow?.arrival;
  if (arrival === undefined) return undefined;
  return {
    name: `${objectName(route)}.${namespaceOf(route)}.shadow`,
    namespace: arrival.namespace || namespaceOf(route),
    side: "server",
    selector: sortedRecord(arrival.selector),
    targetRefs: [],
    states: [],
    filters: [],
    routes: [routeName(route)],
    others: [],
  };
}
