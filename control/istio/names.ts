import { createHash } from "node:crypto";
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

/**
 * Name of the objects of some hosts that routes share. It stays as routes come
 * and go, so that they are changed and never replaced. No route's name has a dot.
 */
export function sharedHostsName(hosts: readonly string[]): string {
  const digest = createHash("sha256")
    .update([...hosts].sort().join())
    .digest("hex");
  return `weir-${digest.slice(0, 8)}.hosts`;
}
