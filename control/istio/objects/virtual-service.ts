import type { JsonObject } from "@bufbuild/protobuf";
import type { Fault, InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import {
  answerHeaders,
  type Condition,
  type CorsRules,
  corsRules,
  type Rule,
  routeName,
  rulesOf,
  variantHeader,
} from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { durationText } from "../duration.ts";
import { defined, definedOrNothing, type Manifest, metadataFor, type Origin } from "../manifest.ts";
import { namespaceOf, objectName } from "../names.ts";
import { destination } from "./backend.ts";
import { exportTo } from "./export-to.ts";

const defaultRetryOn = ["connect-failure", "refused-stream", "reset-before-request"];

/** The VirtualService of a route; without hosts and gateways when another one delegates to it. */
export function virtualService(route: InferenceRoute): Manifest {
  const spec = route.spec as RouteSpec;
  const rules = rulesOf(route);
  const common = commonOf(spec);
  const delegate = spec.mesh?.delegate === true;
  const from = delegate
    ? "spec.mesh.delegate, spec.variants"
    : "spec.hosts, spec.gateways, spec.variants";
  const origins: Origin[] = [
    { path: [], text: `VirtualService of ${routeName(route)}: ${from}` },
    ...rules.map((rule, index) => ({ path: ["spec", "http", index], text: rule.origin })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: metadataFor(objectName(route), namespaceOf(route), [routeName(route)]),
      spec: defined({
        hosts: delegate ? undefined : spec.hosts,
        gateways: delegate || spec.gateways.length === 0 ? undefined : spec.gateways,
        exportTo: exportTo(spec),
        http: rules.map((rule) => httpRoute(rule, spec, common)),
      }),
    },
    origins,
  };
}

/** Names of all http routes of a route, in order. */
export function httpRouteNamesOf(route: InferenceRoute): string[] {
  return rulesOf(route).map((rule) => rule.name);
}

/** What all rules of a route have alike. */
interface Common {
  timeout: string | undefined;
  retries: JsonObject;
  headers: JsonObject;
}

function commonOf(spec: RouteSpec): Common {
  return {
    timeout: durationText(spec.resilience?.timeout),
    retries: retries(spec),
    headers: headers(spec),
  };
}

function httpRoute(rule: Rule, spec: RouteSpec, common: Common): JsonObject {
  return defined({
    name: rule.name,
    match: matchOf(rule),
    route: rule.targets.map(({ variant, weight }) =>
      defined({
        destination: destination(spec, variant),
        weight: rule.targets.length === 1 ? undefined : weight,
        headers: spec.tellVariant
          ? { response: { set: { [variantHeader]: variant.name } } }
          : undefined,
      }),
    ),
    mirrors: rule.mirrorTo && [
      { destination: destination(spec, rule.mirrorTo), percentage: { value: 100 } },
    ],
    timeout: (rule.drill ? durationText(spec.fault?.cutAfter) : undefined) ?? common.timeout,
    retries: common.retries,
    fault: rule.drill && (spec.fault?.delay || spec.fault?.abort) ? fault(spec.fault) : undefined,
    headers: common.headers,
    corsPolicy: spec.cors && corsPolicy(corsRules(spec.cors, spec)),
  });
}

function corsPolicy(rules: CorsRules): JsonObject {
  return {
    allowOrigins: rules.origins.map((origin) =>
      origin === "*" ? { regex: ".*" } : { exact: origin },
    ),
    allowMethods: [...rules.methods],
    allowHeaders: [...rules.allowHeaders],
    exposeHeaders: [...rules.exposeHeaders],
    maxAge: `${rules.maxAgeSeconds}s`,
    allowCredentials: rules.credentials,
  };
}

function matchOf({ headers, match }: Rule): JsonObject[] | undefined {
  const present: JsonObject = {};
  const absent: JsonObject = {};
  for (const [name, exact] of Object.entries(headers)) present[name] = { exact };
  for (const { header, value } of match) {
    if (value.case === "present" && !value.value) absent[header] = {};
    else present[header] = stringMatch(value);
  }
  const matched = definedOrNothing({
    headers: Object.keys(present).length > 0 ? present : undefined,
    withoutHeaders: Object.keys(absent).length > 0 ? absent : undefined,
  });
  return matched && [matched];
}

/** A StringMatch without a value asks whether the header is there. */
function stringMatch(value: Condition["value"]): JsonObject {
  if (value.case === "exact") return { exact: value.value };
  return value.case === "prefix" ? { prefix: value.value } : {};
}

/** Istio's default is two retries, which would run a completion twice; so the number is always written. */
function retries(spec: RouteSpec): JsonObject {
  const wanted = spec.resilience?.retries;
  const firstByte = durationText(spec.resilience?.firstByteTimeout);
  if (wanted === undefined || wanted.attempts === 0)
    // Istio drops the time of one try where it tries only once; what has no headers to go by is never tried again.
    return firstByte
      ? { attempts: 1, perTryTimeout: firstByte, retryOn: "retriable-headers" }
      : { attempts: 0 };
  return defined({
    attempts: wanted.attempts,
    perTryTimeout: firstByte ?? durationText(wanted.perTryTimeout),
    retryOn: (wanted.retryOn.length > 0 ? wanted.retryOn : defaultRetryOn).join(","),
    retryRemoteLocalities: wanted.remoteLocalities ? true : undefined,
    backoff: durationText(wanted.backoff),
  });
}

function fault({ abort, delay }: Fault): JsonObject {
  return defined({
    delay: delay && {
      percentage: { value: delay.percent ?? 0 },
      fixedDelay: durationText(delay.duration) ?? "",
    },
    abort: abort && { percentage: { value: abort.percent ?? 0 }, httpStatus: abort.httpStatus },
  });
}

function headers(spec: RouteSpec): JsonObject {
  // Only Weir speaks in these names; an answer that does is a pod pretending.
  const spoken = answerHeaders(spec);
  return defined({
    request: operations(spec.headers?.request, []),
    response: operations(spec.headers?.response, spoken),
  });
}

function operations(asked: HeaderOperations | undefined, spoken: string[]): JsonObject | undefined {
  const remove = [...spoken, ...(asked?.remove ?? [])];
  return definedOrNothing({
    set: filled(asked?.set),
    add: filled(asked?.add),
    remove: remove.length > 0 ? remove : undefined,
  });
}

function filled(values: Record<string, string> | undefined): JsonObject | undefined {
  return values && Object.keys(values).length > 0 ? sortedRecord(values) : undefined;
}
