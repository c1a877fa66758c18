import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { Attach, InferenceRoute, TargetRef } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import {
  type FilterName,
  filterNames,
  matches,
  routeName,
  routesByHost,
  selectedRoutes,
} from "../route/index.ts";
import { namespaceOf, objectName } from "./names.ts";

/**
 * Where on the request's way the proxies of an attach point stand: a gateway,
 * the sidecar of the caller, the sidecar of the pods, or a waypoint between.
 */
export type Side = "gateway" | "client" | "server" | "waypoint";

/** The proxies that load the filters, and the routes whose filters they load. */
export interface AttachPoint {
  /** Name of the objects that attach there. */
  name: string;
  namespace: string;
  side: Side;
  selector: Record<string, string>;
  targetRefs: TargetRef[];
  states: RouteState[];
  /** What the filters do there for each of the states, in their order. */
  filters: (readonly FilterName[])[];
  /** "namespace/name" of the routes, in order. */
  routes: string[];
  /** Routes that share a host with one of these and attach elsewhere: the filters tell whose a request is. */
  others: RouteState[];
}

/** API group of a target's kind, where the route leaves it out. */
const groupOfKind: Record<string, string> = {
  Gateway: "gateway.networking.k8s.io",
  GatewayClass: "gateway.networking.k8s.io",
  Service: "",
  ServiceEntry: "networking.istio.io",
};

/** The filters that do any part of the route. */
export function filtersOf(route: InferenceRoute): FilterName[] {
  return filterNames.filter((name) => route.spec?.[name] !== undefined);
}

/** Every place where proxies load filters for the route, with its path in the document. */
export function attachmentsOf(route: InferenceRoute): { path: string; attach: Attach }[] {
  const spec = route.spec;
  if (spec?.attach === undefined) return [];
  return [
    { path: "spec.attach", attach: spec.attach },
    ...spec.alsoAttach.map((attach, index) => ({ path: `spec.alsoAttach[${index}]`, attach })),
  ];
}

/** What the filters do for a route at one of its attach points. */
export function filtersAt(route: InferenceRoute, attach: Attach): FilterName[] {
  const asked = filtersOf(route);
  return attach.filters.length === 0
    ? asked
    : asked.filter((name) => attach.filters.includes(name));
}

/**
 * A route bound to a Gateway attaches there. In the mesh, what chooses where a
 * request goes must run before the caller's sidecar routes it; limits and
 * compression alone run beside the pods.
 */
export function sideOf(route: InferenceRoute, attach = route.spec?.attach): Side {
  const spec = route.spec;
  if (attach && attach.side !== "") return attach.side as Side;
  if (attach?.targetRefs.some(({ kind }) => kind === "Service" || kind === "ServiceEntry"))
    return "waypoint";
  if (attach && attach.targetRefs.length > 0) return "gateway";
  if (spec?.gateways.some((gateway) => gateway !== "mesh")) return "gateway";
  return (spec?.canary ?? spec?.shadow) || matches(route) ? "client" : "server";
}

/** The routes for which weir.wasm does anything at a point. */
export function filteredAt({ filters, states }: AttachPoint): RouteState[] {
  return states.filter((_, index) => (filters[index] ?? []).length > 0);
}

/** Some routes of a point, and those that share a host with one of them, in the order of the point. */
export function withSharing(
  { others, states }: AttachPoint,
  some: readonly RouteState[],
): RouteState[] {
  const among = new Set(some);
  const hosts = new Set(some.flatMap(({ route }) => route?.spec?.hosts ?? []));
  return [...states, ...others].filter(
    (state) => among.has(state) || state.route?.spec?.hosts.some((host) => hosts.has(host)),
  );
}

/**
 * Groups routes by the proxies they attach to: routes rendered together share
 * one filter instance per proxy. A lone route's objects are named after it, so
 * that routes rendered one by one do not replace each other's; shared ones are
 * named after the attach point, so that the name stays as routes come and go.
 */
export function attachPoints(states: RouteState[]): AttachPoint[] {
  const points = new Map<string, AttachPoint>();
  const selected = selectedRoutes(states.flatMap(({ route }) => route ?? []));
  for (const state of states) {
    const route = state.route;
    if (route === undefined) continue;
    for (const [index, { attach }] of attachmentsOf(route).entries()) {
      const filters = filtersAt(route, attach);
      const isPoint = filters.length > 0 || isPointWithoutFilters(route) || selected.has(route);
      if (!isPoint) continue;
      const namespace = attach.namespace || namespaceOf(route);
      const side = sideOf(route, attach);
      const selector = sortedRecord(attach.selector);
      const key = attachKey(route, attach);
      const point = points.get(key);
      if (point) {
        point.states.push(state);
        point.filters.push(filters);
        point.routes.push(routeName(route));
        if (point.states.length === 2) point.name = sharedName(key);
      } else {
        const own = `${objectName(route)}.${namespaceOf(route)}`;
        points.set(key, {
          name: index === 0 ? own : `${own}.also-${index}`,
          namespace,
          side,
          selector,
          targetRefs: attach.targetRefs,
          states: [state],
          filters: [filters],
          routes: [routeName(route)],
          others: [],
        });
      }
    }
  }
  if (selected.size > 0) addOthers([...points.values()], states);
  return [...points.values()];
}

function addOthers(points: readonly AttachPoint[], states: readonly RouteState[]): void {
  const byHost = routesByHost(states.flatMap(({ route }) => route ?? []));
  for (const point of points) {
    const own = new Set(point.states);
    const hosts = point.states.flatMap(({ route }) => route?.spec?.hosts ?? []);
    const sharing = new Set(hosts.flatMap((host) => byHost.get(host) ?? []));
    point.others = states.filter(
      (state) => state.route !== undefined && sharing.has(state.route) && !own.has(state),
    );
  }
}

/** The same for the same proxies, on the same side of them. */
export function attachKey(route: InferenceRoute, attach: Attach): string {
  const namespace = attach.namespace || namespaceOf(route);
  const selector = sortedRecord(attach.selector);
  const targetRefs = attach.targetRefs.map(targetRefJson);
  return JSON.stringify([namespace, sideOf(route, attach), selector, targetRefs]);
}

function sharedName(key: string): string {
  return `weir-${createHash("sha256").update(key).digest("hex").slice(0, 8)}`;
}

/** Telemetry and measuring are a matter of the attached proxies even where none of these filters runs. */
function isPointWithoutFilters(route: InferenceRoute): boolean {
  return route.spec?.mesh?.telemetry !== undefined || route.spec?.tokens?.measure === true;
}

/** Selects the proxies of a point, in the fields of Istio's policies. */
export function selection(point: AttachPoint): Record<string, JsonObject | JsonObject[]> {
  return point.targetRefs.length > 0
    ? { targetRefs: point.targetRefs.map(targetRefJson) }
    : { selector: { matchLabels: point.selector } };
}

export function targetRefJson(ref: TargetRef): JsonObject {
  return { group: ref.group || (groupOfKind[ref.kind] ?? ""), kind: ref.kind, name: ref.name };
}

/** Kubernetes keeps maps in key order; so do the manifests, however the route was written. */
export function sortedRecord<T>(record: Record<string, T>): Record<string, T> {
  const names = Object.keys(record);
  if (names.length < 2) return record;
  const sorted: Record<string, T> = {};
  for (const name of names.sort()) sorted[name] = record[name] as T;
  return sorted;
}
