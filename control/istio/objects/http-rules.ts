import type { JsonObject } from "@bufbuild/protobuf";
import type { Fault, InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import type { HeaderOperations } from "../../gen/weir/v1/traffic_pb.ts";
import {
  answerHeaders,
  type Condition,
  type CorsRules,
  corsRules,
  type Rule,
  variantHeader,
} from "../../route/index.ts";
import { sortedRecord } from "../attach.ts";
import { durationText } from "../duration.ts";
import { defined, definedOrNothing } from "../manifest.ts";
import { namespaceOf } from "../names.ts";
import { destination } from "./backend.ts";

const defaultRetryOn = ["connect-failure", "refused-stream", "reset-before-request"];

/**
 * Rules of a route as http rules of a VirtualService.
 * @param namespace of the VirtualService, in which it finds Services by their bare names
 */
export function httpRules(
  route: InferenceRoute,
  rules: readonly Rule[],
  namespace = namespaceOf(route),
): JsonObject[] {
  const spec = route.spec as RouteSpec;
  const common = commonOf(spec);
  const elsewhere = namespaceOf(route) === namespace ? undefined : namespaceOf(route);
  const to = (variant: Variant) => destination(spec, variant, elsewhere);
  return rules.map((rule) => httpRule(rule, spec, common, to));
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

function httpRule(
  rule: Rule,
  spec: RouteSpec,
  common: Common,
  to: (variant: Variant) => JsonObject,
): JsonObject {
  return defined({
    name: rule.name,
    match: matchOf(rule),
    route: rule.targets.map(({ variant, weight }) =>
      defined({
        destination: to(variant),
        weight: rule.targets.length === 1 ? undefined : weight,
        headers: spec.tellVariant
          ? { response: { set: { [variantHeader]: variant.name } } }
          : undefined,
      }),
    ),
    mirrors: rule.mirrorTo && [{ destination: to(rule.mirrorTo), percentage: { value: 100 } }],
    timeout: (rule.drill ? durationText(spec.fault?.cutAfter) : undefined) ?? common.timeout,
    retries: common.retries,
    fault: rule.drill && (spec.fault?.delay || spec.fault?.abort) ? fault(spec.fault) : undefined,
    headers: common.headers,
    corsPolicy: corsPolicy(spec),
  });
}

/** Which pages may read the answers of a route; undefined: those of its own origin alone. */
export function corsPolicy(spec: RouteSpec): JsonObject | undefined {
  return spec.cors && corsPolicyOf(corsRules(spec.cors, spec));
}

function corsPolicyOf(rules: CorsRules): JsonObject {
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
