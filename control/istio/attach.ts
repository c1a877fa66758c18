import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute, TargetRef } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/names.ts";
import { namespaceOf, objectName } from "./names.ts";

/**
 * Where on the request's way the proxies of an attach point stand: a gateway,
 * the sidecar of the caller, or the sidecar of the pods.
 */
export type Side = "gateway" | "client" | "server";

/** The proxies that load the filters, and the routes whose filters they load. */
export interface AttachPoint {
  /** Name of the objects that attach there. */
  name: string;
  namespace: string;
  side: Side;
  selector: Record<string, string>;
  targetRefs: TargetRef[];
  states: RouteState[];
  /** "namespace/name" of the routes, in order. */
  routes: string[];
}

/** API group of a target's kind, where the route leaves it out. */
const groupOfKind: Record<string, string> = {
  Gateway: "gateway.networking.k8s.io",
  GatewayClass: "gateway.networking.k8s.io",
  Service: "",
  ServiceEntry: "networking.istio.io",
};

/** Whether any part of the route is done by a filter. */
export function needsFilters(route: InferenceRoute): boolean {
  const spec = route.spec;
  return Boolean(spec?.canary ?? spec?.rateLimit ?? spec?.compression ?? spec?.shadow);
}

/**
 * A route bound to a Gateway attaches there. In the mesh, what chooses where a
 * request goes must run before the caller's sidecar routes it; limits and
 * compression alone run beside the pods.
 */
export function sideOf(route: InferenceRoute): Side {
  const spec = route.spec;
  if (spec?.gateways.some((gateway) => gateway !== "mesh")) return "gateway";
  if ((spec?.attach?.targetRefs.length ?? 0) > 0) return "gateway";
  return (spec?.canary ?? spec?.shadow) ? "client" : "server";
}

/**
 * Groups routes by the proxies they attach to: routes rendered together share
 * one filter instance per proxy. A lone route's objects are named after it, so
 * that routes rendered one by one do not replace each other's; shared ones are
 * named after the attach point, so that the name stays as routes come and go.
 */
export function attachPoints(states: RouteState[]): AttachPoint[] {
  const points = new Map<string, AttachPoint>();
  for (const state of states) {
    const route = state.route;
    const attach = route?.spec?.attach;
    if (route === undefined || attach === undefined || !needsFilters(route)) continue;
    const namespace = attach.namespace || namespaceOf(route);
    const side = sideOf(route);
    const selector = sortedRecord(attach.selector);
    const targetRefs = attach.targetRefs.map(targetRefJson);
    const key = JSON.stringify([namespace, side, selector, targetRefs]);
    const point = points.get(key);
    if (point) {
      point.states.push(state);
      point.routes.push(routeName(route));
      point.name = `weir-${createHash("sha256").update(key).digest("hex").slice(0, 8)}`;
    } else {
      points.set(key, {
        name: `${objectName(route)}.${namespaceOf(route)}`,
        namespace,
        side,
        selector,
        targetRefs: attach.targetRefs,
        states: [state],
        routes: [routeName(route)],
      });
    }
  }
  return [...points.values()];
}

export function targetRefJson(ref: TargetRef): JsonObject {
  return { group: ref.group || (groupOfKind[ref.kind] ?? ""), kind: ref.kind, name: ref.name };
}

/** Kubernetes keeps maps in key order; so do the manifests, however the route was written. */
export function sortedRecord(record: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
