import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { defaultNamespace } from "../route/index.ts";

/** Namespace of a route and of the objects that must be beside its Service. */
export function namespaceOf(route: InferenceRoute): string {
  return route.metadata?.namespace || defaultNamespace;
}

/**
 * Name of the objects of one route in its own namespace. The prefix keeps Weir
 * from replacing an object that a team already has under the route's name.
 */
export function objectName(route: InferenceRoute): string {
  return `weir-${route.metadata?.name ?? ""}`;
}
