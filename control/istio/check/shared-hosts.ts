import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import {
  type HostGroup,
  hostGroups,
  matches,
  type Problem,
  readsBodies,
  routeName,
} from "../../route/index.ts";
import { attachKey, attachmentsOf, sideOf } from "../attach.ts";
import { namespaceOf } from "../names.ts";
import type { RouteProblem } from "../problem.ts";

/** Routes that share hosts, with what their checks ask of all of them. */
interface Shared extends HostGroup {
  /** Whether any of them attaches to a waypoint. */
  atWaypoint: boolean;
  /** The first one that attaches to proxies that choose. */
  attached: InferenceRoute | undefined;
}

/** Finds what is wrong with one of them; undefined: nothing. */
type Check = (route: InferenceRoute, shared: Shared) => Problem | undefined;

/**
 * What keeps routes from sharing hosts under Istio, where one VirtualService has
 * the rules of all of them, and one filter of each proxy chooses among them.
 */
export function checkSelectedHosts(
  routes: readonly InferenceRoute[],
  target: "istio" | "gateway-api" = "istio",
): RouteProblem[] {
  const checks = target === "gateway-api" ? [checkGatewayApi] : ofIstio;
  const found = new Map<string, RouteProblem>();
  for (const group of hostGroups(routes).filter(({ selects }) => selects)) {
    const shared: Shared = {
      ...group,
      atWaypoint: group.routes.some(isAtWaypoint),
      attached: group.routes.find((route) => choosingPoints(route) !== ""),
    };
    for (const route of group.routes)
      for (const check of checks) {
        const problem = check(route, shared);
        const name = routeName(route);
        // A route with hosts in several groups has its problem once.
        if (problem) found.set(`${name} ${problem.code}`, { ...problem, route: name });
      }
  }
  return [...found.values()];
}

const ofIstio: readonly Check[] = [
  checkDelegate,
  checkSides,
  checkWaypoint,
  checkBareHosts,
  (route, { hosts, routes: [first] }) =>
    differing(route, first, hosts, {
      code: "gateways-differ",
      member: "gateways",
      valueOf: gatewaysOf,
    }),
  (route, { hosts, routes: [first] }) =>
    differing(route, first, hosts, {
      code: "export-differs",
      member: "mesh.exportTo",
      valueOf: exportsOf,
    }),
  (route, { attached, hosts }) => {
    // One whose filters run beside the pods alone is chosen where the others attach.
    if (choosingPoints(route) === "") return undefined;
    return differing(route, attached, hosts, {
      code: "attach-differs",
      member: "attach",
      valueOf: choosingPoints,
    });
  },
];

/** Which rule of several HTTPRoutes counts depends on more than the header that the filter writes. */
function checkGatewayApi(route: InferenceRoute, { hosts }: HostGroup): Problem {
  return {
    code: "gateway-api-match",
    path: matches(route) ? "spec.match" : "spec.hosts",
    message: `the Gateway API does not support routes that share a host (${hosts.join(", ")}) or have a match: render with --target istio`,
  };
}

function checkDelegate({ spec }: InferenceRoute): Problem | undefined {
  if (!spec?.mesh?.delegate) return undefined;
  const message =
    "a route that shares a host or has a match cannot be delegated to: the VirtualService of the host has the rules of all its routes";
  return { code: "match-delegate", path: "spec.mesh.delegate", message };
}

/** At the pods it is too late to choose. */
function checkSides(route: InferenceRoute): Problem | undefined {
  const attached = attachmentsOf(route).length > 0;
  if (!matches(route) || !attached || choosingPoints(route) !== "") return undefined;
  const message =
    "match cannot be evaluated beside the pods: the caller's proxy has already chosen the route; attach to a gateway, a waypoint or side client";
  return { code: "match-at-server", path: "spec.match", message };
}

function isAtWaypoint(route: InferenceRoute): boolean {
  return attachmentsOf(route).some(({ attach }) => sideOf(route, attach) === "waypoint");
}

function checkWaypoint(route: InferenceRoute, { atWaypoint }: Shared): Problem | undefined {
  if (!atWaypoint || !readsBodies(route)) return undefined;
  const message =
    "the model cannot be read from bodies at a waypoint, where istio supports no EnvoyFilter: set models.header to a header with the model, or attach to a gateway or side client";
  return { code: "match-body-at-waypoint", path: "spec.match", message };
}

/** A bare name means a Service beside the VirtualService, which is in the namespace of one of the routes. */
function checkBareHosts(route: InferenceRoute, { hosts, routes }: HostGroup): Problem | undefined {
  const bare = hosts.find((host) => /^[^.*]+$/.test(host));
  const [first] = routes as [InferenceRoute];
  if (bare === undefined || namespaceOf(first) === namespaceOf(route)) return undefined;
  return {
    code: "shared-host-bare",
    path: `spec.hosts[${route.spec?.hosts.indexOf(bare)}]`,
    message: `host ${bare} has another meaning in namespace ${namespaceOf(first)}, whose route ${routeName(first)} shares it: write the full name of the Service`,
  };
}

/** A setting that the routes of a host must have in common. */
interface Setting {
  code: string;
  member: string;
  valueOf(route: InferenceRoute): string;
}

function differing(
  route: InferenceRoute,
  first: InferenceRoute | undefined,
  hosts: readonly string[],
  { code, member, valueOf }: Setting,
): Problem | undefined {
  if (first === undefined || valueOf(route) === valueOf(first)) return undefined;
  const message = `${member} differs from that of route ${routeName(first)}: routes that share a host (${hosts.join(", ")}) must have the same ${member} under istio`;
  return { code, path: `spec.${member}`, message };
}

function gatewaysOf(route: InferenceRoute): string {
  const named = (route.spec?.gateways ?? []).map((name) =>
    name === "mesh" || name.includes("/") ? name : `${namespaceOf(route)}/${name}`,
  );
  return (named.length === 0 ? ["mesh"] : named.sort()).join();
}

function exportsOf(route: InferenceRoute): string {
  const named = (route.spec?.mesh?.exportTo ?? []).map((name) =>
    name === "." ? namespaceOf(route) : name,
  );
  return named.sort().join();
}

/** The proxies that choose among routes where this one attaches: all but those of the pods. */
function choosingPoints(route: InferenceRoute): string {
  return attachmentsOf(route)
    .filter(({ attach }) => sideOf(route, attach) !== "server")
    .map(({ attach }) => attachKey(route, attach))
    .sort()
    .join();
}
