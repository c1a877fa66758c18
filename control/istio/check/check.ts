import type { Duration } from "@bufbuild/protobuf/wkt";
import type { InferenceRoute, Resilience, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import {
  type Condition,
  conditionsOf,
  durationsOf,
  mirrors,
  type Problem,
} from "../../route/index.ts";
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

/** A route of Istio leads to one subset; a ServiceEntry has no pods in reserve. */
function checkFallback({ service, variants }: RouteSpec): Problem[] {
  const others = variants.flatMap(({ fallback, name }, index) => {
    if (fallback.length === 0) return [];
    const message = `variant ${name} has fallback, which works only with plain Envoys: Istio sends no request from one subset to another; leave fallback out`;
    return [problem("fallback-in-istio", `spec.variants[${index}].fallback`, message)];
  });
  if (!service?.externalHost) return others;
  const reserves = variants.flatMap(({ fallbackEndpoints, name }, index) => {
    if (fallbackEndpoints.length === 0) return [];
    const message = `variant ${name} has fallbackEndpoints, which istio does not support: leave them out`;
    return [problem("fallback-endpoints", `spec.variants[${index}].fallbackEndpoints`, message)];
  });
  return [...others, ...reserves];
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
  for (const [index, entry] of fault.match.entries())
    found.push(...checkConditions(conditionsOf(entry), `${path}.match[${index}]`));
  return found;
}

/** The conditions of one entry: a map by header in Istio. */
function checkConditions(conditions: readonly Condition[], at: string): Problem[] {
  const found: Problem[] = [];
  for (const [index, { header, value }] of conditions.entries()) {
    if (conditions.findIndex((other) => other.header === header) < index) {
      const message = `header ${header} is matched twice: istio allows one match per header`;
      found.push(problem("match-twice", at, message));
    }
    if (value.case !== "present" && value.value === "") {
      const message = `the match of header ${header} must not have an empty ${value.case} under istio`;
      found.push(problem("match-empty", at, message));
    }
  }
  return found;
}

function checkResilience(resilience: Resilience): Problem[] {
  const at = "spec.resilience";
  const { connections, healthCheck, locality, streamIdleTimeout } = resilience;
  const found = [
    ...(healthCheck ? [noHealthCheck] : []),
    ...(streamIdleTimeout ? [noStreamIdle] : []),
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

const noStreamIdle = problem(
  "stream-idle-in-istio",
  "spec.resilience.streamIdleTimeout",
  "streamIdleTimeout works only with plain Envoys: a VirtualService has no such timeout",
);

const noHealthCheck = problem(
  "health-check-in-istio",
  "spec.resilience.healthCheck",
  "healthCheck works only with plain Envoys: under istio the readiness probes of the pods do this",
);

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
