import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute, RouteSpec, Shadow, Variant } from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/names.ts";
import { controlHeaders } from "../route/validate.ts";
import { durationText } from "./duration.ts";
import { defined, type Manifest, metadataFor, type Origin } from "./manifest.ts";
import { httpRouteNames, namespaceOf, objectName } from "./names.ts";

const variantHeader = "x-weir-variant";
const defaultModeHeader = "x-shadow-mode";
const defaultTagHeader = "x-traffic-tag";
const defaultRetryOn = ["connect-failure", "refused-stream", "reset-before-request"];

/** One http route: where it comes from, what it matches, where it leads. */
interface Rule {
  name: string;
  origin: string;
  headers?: Record<string, string>;
  destinations: JsonObject[];
  mirrorTo?: string;
}

/**
 * The VirtualService of a route. First match wins, so the order is: tagged
 * requests, then the variant the filters chose, then the weights, which also
 * serve when no filter is there to choose.
 */
export function virtualService(route: InferenceRoute): Manifest {
  const spec = route.spec as RouteSpec;
  const rules = rulesOf(route, spec);
  const origins: Origin[] = [
    {
      path: [],
      text: `VirtualService of ${routeName(route)}: spec.hosts, spec.gateways, spec.variants`,
    },
    ...rules.map((rule, index) => ({ path: ["spec", "http", index], text: rule.origin })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: metadataFor(objectName(route), namespaceOf(route), [routeName(route)]),
      spec: defined({
        hosts: spec.hosts,
        gateways: spec.gateways.length > 0 ? spec.gateways : undefined,
        http: rules.map((rule) => httpRoute(rule, spec)),
      }),
    },
    origins,
  };
}

/** Names of all http routes of a route, in order. */
export function httpRouteNamesOf(route: InferenceRoute): string[] {
  return rulesOf(route, route.spec as RouteSpec).map((rule) => rule.name);
}

function rulesOf(route: InferenceRoute, spec: RouteSpec): Rule[] {
  const names = httpRouteNames(route);
  const shadow = spec.shadow;
  const tagged = shadow && { [shadow.modeHeader || defaultModeHeader]: "true" };
  const mirrors = shadow !== undefined && shadow.mode !== "divert";
  const rules: Rule[] = [];
  if (shadow && tagged && !mirrors) {
    rules.push({
      name: names.diverted,
      origin: "spec.shadow: tagged requests go to the shadow variant itself",
      headers: tagged,
      destinations: [destination(spec, shadow.variant)],
    });
  }
  if (spec.canary) {
    if (mirrors) {
      for (const [index, variant] of spec.variants.entries()) {
        if (variant.name === shadow.variant) continue;
        rules.push({
          name: names.variantMirrored(variant.name),
          origin: `spec.shadow, spec.variants[${index}]: tagged requests are copied to the shadow variant`,
          headers: { [variantHeader]: variant.name, ...tagged },
          destinations: [destination(spec, variant.name)],
          mirrorTo: shadow.variant,
        });
      }
    }
    for (const [index, variant] of spec.variants.entries()) {
      if (variant.name === shadow?.variant) continue;
      rules.push({
        name: names.variant(variant.name),
        origin: `spec.variants[${index}]: chosen by spec.canary`,
        headers: { [variantHeader]: variant.name },
        destinations: [destination(spec, variant.name)],
      });
    }
  } else if (mirrors && tagged) {
    rules.push({
      name: names.weightsMirrored,
      origin: "spec.shadow: tagged requests are copied to the shadow variant",
      headers: tagged,
      destinations: weighted(spec),
      mirrorTo: shadow.variant,
    });
  }
  rules.push({
    name: names.weights,
    origin: spec.canary
      ? "spec.variants[*].weight: without the filters, plain weights"
      : "spec.variants[*].weight",
    destinations: weighted(spec),
  });
  return rules;
}

function httpRoute(rule: Rule, spec: RouteSpec): JsonObject {
  return defined({
    name: rule.name,
    match: rule.headers && [{ headers: exactly(rule.headers) }],
    route: rule.destinations,
    mirrors:
      rule.mirrorTo === undefined
        ? undefined
        : [{ ...destination(spec, rule.mirrorTo), percentage: { value: 100 } }],
    timeout: durationText(spec.resilience?.timeout),
    retries: retries(spec),
    // Only Weir speaks in these names; an answer that does is a pod pretending.
    headers: { response: { remove: spokenHeaders(spec.shadow) } },
  });
}

/** Istio's default is two retries, which would run a completion twice; so the number is always written. */
function retries(spec: RouteSpec): JsonObject {
  const wanted = spec.resilience?.retries;
  if (wanted === undefined || wanted.attempts === 0) return { attempts: 0 };
  return defined({
    attempts: wanted.attempts,
    perTryTimeout: durationText(wanted.perTryTimeout),
    retryOn: (wanted.retryOn.length > 0 ? wanted.retryOn : defaultRetryOn).join(","),
  });
}

function destination(spec: RouteSpec, subset: string): JsonObject {
  const port = spec.service?.port ?? 0;
  return { destination: { host: spec.service?.name ?? "", subset, port: { number: port } } };
}

/**
 * Weights are relative integers in Istio: percents as they are, or hundredths
 * where one has decimals. Istio drops weight 0, so it is not written.
 */
function weighted(spec: RouteSpec): JsonObject[] {
  const taking = spec.variants.filter((variant) => variant.weight > 0);
  if (taking.length === 1) return [destination(spec, (taking[0] as Variant).name)];
  const scale = taking.every((variant) => Number.isInteger(variant.weight)) ? 1 : 100;
  return taking.map((variant) => ({
    ...destination(spec, variant.name),
    weight: Math.round(variant.weight * scale),
  }));
}

function exactly(headers: Record<string, string>): JsonObject {
  return Object.fromEntries(Object.entries(headers).map(([name, exact]) => [name, { exact }]));
}

function spokenHeaders(shadow: Shadow | undefined): string[] {
  return [
    ...controlHeaders,
    shadow?.modeHeader || defaultModeHeader,
    shadow?.tagHeader || defaultTagHeader,
  ];
}
