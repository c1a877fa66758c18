import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute, Resilience, RouteSpec } from "../gen/weir/v1/route_pb.ts";
import type { Problem } from "../route/problem.ts";
import { needsFilters, sideOf, sortedRecord } from "./attach.ts";
import { isWholeMillis } from "./duration.ts";

/** Istio's counts are int32; the route's are uint32. */
const maxInt32 = 2_147_483_647;

/**
 * What Istio cannot express or would silently do wrong, in a route that is
 * valid by itself. All problems at once; empty: it can be rendered.
 */
export function checkForIstio(route: InferenceRoute): Problem[] {
  const spec = route.spec;
  if (spec === undefined) return [problem("spec-missing", "spec", "spec is required")];
  return [
    ...checkHosts(spec),
    ...checkSubsets(spec),
    ...checkAttach(route, spec),
    ...checkCompression(route, spec),
    ...(spec.resilience ? checkResilience(spec.resilience) : []),
  ];
}

function checkHosts(spec: RouteSpec): Problem[] {
  const inMesh = spec.gateways.length === 0 || spec.gateways.includes("mesh");
  const index = spec.hosts.indexOf("*");
  if (!inMesh || index < 0) return [];
  const message = `host "*" needs a gateway: in the mesh it would catch every service's traffic`;
  return [problem("host-star-in-mesh", `spec.hosts[${index}]`, message)];
}

/** Subsets that select the same pods would make the weights a fiction. */
function checkSubsets(spec: RouteSpec): Problem[] {
  if (spec.variants.length < 2) return [];
  const found: Problem[] = [];
  const seen = new Map<string, string>();
  for (const [index, variant] of spec.variants.entries()) {
    const path = `spec.variants[${index}].labels`;
    const key = JSON.stringify(sortedRecord(variant.labels));
    const twin = seen.get(key);
    if (key === "{}") {
      const message = `variant ${variant.name} has no labels: istio tells variants apart by pod labels`;
      found.push(problem("variant-labels-missing", path, message));
    } else if (twin !== undefined) {
      const message = `labels of variant ${variant.name} are those of ${twin}: both would select the same pods`;
      found.push(problem("variant-labels-same", path, message));
    } else seen.set(key, variant.name);
  }
  return found;
}

function checkAttach(route: InferenceRoute, spec: RouteSpec): Problem[] {
  if (!needsFilters(route)) return [];
  if (spec.attach !== undefined) return [];
  const path = "spec.attach";
  const message = `attach is required: name the proxies that load the filters, by selector or targetRefs`;
  return [problem("attach-missing", path, message)];
}

function checkCompression(route: InferenceRoute, spec: RouteSpec): Problem[] {
  if (spec.compression === undefined || spec.attach === undefined) return [];
  const path = "spec.compression";
  const waypoint = spec.attach.targetRefs.findIndex(
    ({ kind }) => kind === "Service" || kind === "ServiceEntry",
  );
  if (waypoint >= 0) {
    const kind = spec.attach.targetRefs[waypoint]?.kind;
    const message = `compression cannot be had at a waypoint (attach.targetRefs[${waypoint}] is a ${kind}): istio takes no EnvoyFilter there; attach to the gateway, or leave compression out`;
    return [problem("compression-at-waypoint", path, message)];
  }
  if (sideOf(route) === "client") {
    const message = `compression cannot be had in the caller's own sidecar, where canary and shadow run without a gateway: nothing would be saved on the wire`;
    return [problem("compression-at-client", path, message)];
  }
  return [];
}

function checkResilience(resilience: Resilience): Problem[] {
  const at = "spec.resilience";
  const { connections, locality, outlier, retries, warmup } = resilience;
  const found = [
    ...checkDurations(at, { timeout: resilience.timeout }),
    ...checkDurations(`${at}.retries`, { perTryTimeout: retries?.perTryTimeout }),
    ...checkDurations(`${at}.outlier`, {
      interval: outlier?.interval,
      baseEjectionTime: outlier?.baseEjectionTime,
    }),
    ...checkDurations(`${at}.connections`, {
      connectTimeout: connections?.connectTimeout,
      idleTimeout: connections?.idleTimeout,
    }),
    ...checkDurations(`${at}.warmup`, { duration: warmup?.duration }),
    ...checkCounts(`${at}.connections`, {
      maxConnections: connections?.maxConnections,
      maxPendingRequests: connections?.maxPendingRequests,
      maxRequests: connections?.maxRequests,
      maxRequestsPerConnection: connections?.maxRequestsPerConnection,
    }),
  ];
  for (const [index, { from, to }] of (locality?.failover ?? []).entries()) {
    const path = `${at}.locality.failover[${index}]`;
    if (from === to) {
      found.push(problem("failover-same", path, `failover leads from ${from} to itself`));
    }
    for (const [side, region] of Object.entries({ from, to })) {
      if (!/[/*]/.test(region)) continue;
      const message = `${side} "${region}" must be a region: istio fails over between regions, without "/" and "*"`;
      found.push(problem("failover-region", `${path}.${side}`, message));
    }
  }
  return found;
}

function checkDurations(at: string, durations: Record<string, Duration | undefined>): Problem[] {
  const found: Problem[] = [];
  for (const [name, duration] of Object.entries(durations)) {
    if (duration === undefined || isWholeMillis(duration)) continue;
    const path = `${at}.${name}`;
    const value = `${duration.seconds}s and ${duration.nanos}ns`;
    const message = `${name} must be whole milliseconds and positive, not ${value}`;
    found.push(problem("duration-millis", path, message));
  }
  return found;
}

function checkCounts(at: string, counts: Record<string, number | undefined>): Problem[] {
  const found: Problem[] = [];
  for (const [name, count] of Object.entries(counts)) {
    if (count === undefined || count <= maxInt32) continue;
    const path = `${at}.${name}`;
    const message = `${name} must be at most ${maxInt32}, which is istio's limit, not ${count}`;
    found.push(problem("count-limit", path, message));
  }
  return found;
}

function problem(code: string, path: string, message: string): Problem {
  return { code, path, message };
}
