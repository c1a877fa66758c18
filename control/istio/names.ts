import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/names.ts";

/** Namespace of a route and of the objects that must be beside its Service. */
export function namespaceOf(route: InferenceRoute): string {
  return routeName(route).split("/", 1)[0] as string;
}

/**
 * Name of the objects of one route in its own namespace. The prefix keeps Weir
 * from replacing an object that a team already has under the route's name.
 */
export function objectName(route: InferenceRoute): string {
  return `weir-${route.metadata?.name ?? ""}`;
}

/**
 * Names of the http routes in the VirtualService. They are Envoy's route names
 * too: access logs show them and the EnvoyFilter finds the routes by them, so
 * they are unique over all routes of a gateway. A "/" cannot be in a variant's
 * name, hence no variant can take the name of another route.
 */
export function httpRouteNames(route: InferenceRoute): HttpRouteNames {
  const id = routeName(route);
  return {
    diverted: `${id}/diverted`,
    weights: `${id}/weights`,
    weightsMirrored: `${id}/weights/mirrored`,
    variant: (name) => `${id}/variant/${name}`,
    variantMirrored: (name) => `${id}/variant/${name}/mirrored`,
  };
}

export interface HttpRouteNames {
  diverted: string;
  weights: string;
  weightsMirrored: string;
  variant: (name: string) => string;
  variantMirrored: (name: string) => string;
}
