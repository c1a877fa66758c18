import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute, Resilience, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { Problem } from "../../route/index.ts";
import { durationsOf, mirrors } from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { isWholeMillis } from "../duration.ts";
import { checkAttached } from "./attach.ts";

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
    ...checkService(spec),
    ...checkHosts(spec),
    ...checkSubsets(spec),
    ...checkPools(spec),
    ...checkFallback(spec),
    ...checkRegister(spec),
    ...checkAttached(route),
    ...checkFault(spec),
    ...checkCopies(spec),
    ...checkExcept(spec),
    ...(spec.resilience ? checkResilience(spec.resilience) : []),
  ];
}

function checkService({ service }: RouteSpec): Problem[] {
  if (service !== undefined) return [];
  const message =
    "service is required: Istio finds the pods by their Kubernetes Service or by service.externalHost";
  return [problem("missing-field", "spec.service", message)];
}

/** Istio turns no filter off for single paths. */
function checkExcept({ except }: RouteSpec): Problem[] {
  if (except.length === 0) return [];
  const message =
    "except works only with plain Envoys: Istio cannot turn off the filters for a path";
  return [problem("except-in-istio", "spec.except", message)];
}

function checkHosts(spec: RouteSpec): Problem[] {
  if (spec.mesh?.delegate) return [];
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
    if (variant.service !== "" || variant.inferencePool !== "") continue;
    const path = `spec.variants[${index}].labels`;
    const key = JSON.stringify(sortedRecord(variant.labels));
    const twin = seen.get(key);
    if (key === "{}") {
      const message = `variant ${variant.name} has no labels: istio distinguishes variants by pod labels`;
      found.push(problem("variant-labels-missing", path, message));
    } else if (twin !== undefined) {
      const message = `variants ${variant.name} and ${twin} have the same labels and would select the same pods`;
      found.push(problem("variant-labels-same", path, message));
    } else seen.set(key, variant.name);
  }
  return found;
}

/** A ServiceEntry has no pods in reserve. */
function checkFallback({ service, variants }: RouteSpec): Problem[] {
  if (!service?.externalHost) return [];
  return variants.flatMap(({ fallbackEndpoints, name }, index) => {
    if (fallbackEndpoints.length === 0) return [];
    const message = `variant ${name} has fallbackEndpoints, which istio does not support: leave them out`;
    return [problem("fallback-endpoints", `spec.variants[${index}].fallbackEndpoints`, message)];
  });
}

/** A ServiceEntry has the pods of the document alone. */
function checkRegister({ service, variants }: RouteSpec): Problem[] {
  if (!service?.externalHost) return [];
  return variants.flatMap(({ register, name }, index) => {
    if (!register) return [];
    const message = `variant ${name} has register, which istio does not support for a service outside the cluster: leave it out`;
    return [problem("register-in-istio", `spec.variants[${index}].register`, message)];
  });
}

/** Istio attaches a pool's endpoint picker only to routes of the Gateway API. */
function checkPools({ variants }: RouteSpec): Problem[] {
  return variants.flatMap(({ inferencePool, name }, index) => {
    if (inferencePool === "") return [];
    const message = `variant ${name} uses an InferencePool, which only an HTTPRoute can reach: render with --target gateway-api`;
    return [problem("pool-needs-http-route", `spec.variants[${index}].inferencePool`, message)];
  });
}

/** A VirtualService copies behind all filters of the gateway: only where copies arrive can they be changed. */
function checkCopies({ shadow }: RouteSpec): Problem[] {
  if (shadow?.maxTokens === undefined || !mirrors(shadow) || shadow.arrival) return [];
  const message =
    "maxTokens of copies needs spec.shadow.arrival under istio, which selects the pods that receive them";
  return [problem("copies-unclamped", "spec.shadow.maxTokens", message)];
}

function checkFault({ fault }: RouteSpec): Problem[] {
  if (fault === undefined) return [];
  const path = "spec.fault";
  const found = checkDurations(path, {
    "delay.duration": fault.delay?.duration,
    cutAfter: fault.cutAfter,
  });
  if (fault.kibibytesPerSecond !== undefined) {
    const message = "istio cannot limit the rate of responses: leave kibibytesPerSecond out";
    found.push(problem("fault-slow", `${path}.kibibytesPerSecond`, message));
  }
  for (const [name, part] of Object.entries({ delay: fault.delay, abort: fault.abort }))
    if (part && part.percent === 0) {
      const message = `${name}.percent must be above 0, not 0: leave ${name} out instead`;
      found.push(problem("fault-nothing", `${path}.${name}.percent`, message));
    }
  for (const [index, { header, value }] of fault.match.entries()) {
    const at = `${path}.match[${index}]`;
    if (fault.match.findIndex((other) => other.header === header) < index)
      found.push(
        problem(
          "match-twice",
          at,
          `header ${header} is matched twice: istio allows one match per header`,
        ),
      );
    if (value.case !== "present" && value.value === "")
      found.push(
        problem(
          "match-empty",
          at,
          `the match of header ${header} must not have an empty ${value.case} under istio`,
        ),
      );
  }
  return found;
}

function checkResilience(resilience: Resilience): Problem[] {
  const at = "spec.resilience";
  const { connections, locality } = resilience;
  const found = [
    ...checkDurations(at, durationsOf(resilience)),
    ...checkCounts(`${at}.connections`, {
      maxConnections: connections?.maxConnections,
      maxPendingRequests: connections?.maxPendingRequests,
      maxRequests: connections?.maxRequests,
      maxRequestsPerConnection: connections?.maxRequestsPerConnection,
      maxRetries: connections?.maxRetries,
      maxStreams: connections?.maxStreams,
    }),
  ];
  for (const [index, { from, to }] of (locality?.failover ?? []).entries()) {
    const path = `${at}.locality.failover[${index}]`;
    if (from === to) {
      found.push(
        problem(
          "failover-same",
          path,
          `failover from ${from} must lead to another region, not to ${from}`,
        ),
      );
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
    const message = `${name.split(".").at(-1)} must be whole milliseconds and positive, not ${value}`;
    found.push(problem("duration-millis", path, message));
  }
  return found;
}

function checkCounts(at: string, counts: Record<string, number | undefined>): Problem[] {
  const found: Problem[] = [];
  for (const [name, count] of Object.entries(counts)) {
    if (count === undefined || count <= maxInt32) continue;
    const path = `${at}.${name}`;
    const message = `${name} must be at most ${maxInt32} (istio's limit), not ${count}`;
    found.push(problem("count-limit", path, message));
  }
  return found;
}

function problem(code: string, path: string, message: string): Problem {
  return { code, path, message };
}
