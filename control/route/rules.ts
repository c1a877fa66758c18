import type { InferenceRoute, RouteSpec, Variant } from "../gen/weir/v1/route_pb.ts";
import { type Condition, conditionsOf } from "./conditions.ts";
import { controlHeaders, routeHeader, variantHeader } from "./control-headers.ts";
import { corsHeaders } from "./cors.ts";
import { routeName } from "./names.ts";
import { shadowHeaderNames, shadowHeaders } from "./shadow-headers.ts";

/** A variant and its share of a rule's requests; relative whole numbers. */
export interface Target {
  variant: Variant;
  weight: number;
}

/** One HTTP rule: where it comes from, what it matches, where it leads. */
export interface Rule {
  name: string;
  /** Path in the route and why the rule is there. */
  origin: string;
  /** Headers with exactly this value; none: every request. */
  headers: Record<string, string>;
  /** Further conditions of a drill; all must hold. */
  match: Condition[];
  targets: Target[];
  mirrorTo?: Variant | undefined;
  /** Whether requests of this rule take part in the route's drill. */
  drill: boolean;
}

type Draft = Pick<Rule, "name" | "origin" | "targets"> & Partial<Rule>;

/**
 * The rules of a route, first match wins: tagged requests, then the variant
 * the filters chose, then the weights, which also serve when no filter is
 * there to choose. A drill that takes only some requests has its own rule
 * before each rule it is about.
 */
export function rulesOf(route: InferenceRoute): Rule[] {
  const spec = route.spec as RouteSpec;
  const drafts = draftsOf(route, spec);
  const rules = drafts.map(
    ({ headers, mirrorTo, name, origin, targets }): Rule => ({
      name,
      origin,
      headers: headers ?? {},
      match: [],
      targets,
      mirrorTo,
      drill: false,
    }),
  );
  if (spec.fault === undefined) return rules;
  return rules.flatMap((rule) => {
    if (!isDrilled(rule, spec)) return [rule];
    const entries = spec.fault?.match ?? [];
    if (entries.length === 0) return [{ ...rule, drill: true }];
    const drills = entries.map((entry, index) => ({
      ...rule,
      name: `${rule.name}/drill${index === 0 ? "" : `-${index}`}`,
      origin: `spec.fault.match${index === 0 ? "" : `[${index}]`}: ${rule.origin}`,
      match: conditionsOf(entry),
      drill: true,
    }));
    return [...drills, rule];
  });
}

function draftsOf(route: InferenceRoute, spec: RouteSpec): Draft[] {
  const names = httpRouteNames(route);
  const shadow = spec.shadow;
  const shadowVariant = spec.variants.find(({ name }) => name === shadow?.variant);
  const tagged: Record<string, string> = { [shadowHeaderNames(shadow).modeHeader]: "true" };
  const mirrors = shadow !== undefined && shadow.mode !== "divert";
  const drafts: Draft[] = [];
  if (shadowVariant && !mirrors) {
    drafts.push({
      name: names.diverted,
      origin: "spec.shadow: tagged requests go to the shadow variant itself",
      headers: tagged,
      targets: [{ variant: shadowVariant, weight: 1 }],
    });
  }
  if (spec.canary) {
    const chosen = [...spec.variants.entries()].filter(([, each]) => each !== shadowVariant);
    for (const [index, variant] of mirrors ? chosen : []) {
      drafts.push({
        name: names.variantMirrored(variant.name),
        origin: `spec.shadow, spec.variants[${index}]: tagged requests are copied to the shadow variant`,
        headers: { [variantHeader]: variant.name, ...tagged },
        targets: [{ variant, weight: 1 }],
        mirrorTo: shadowVariant,
      });
    }
    for (const [index, variant] of chosen) {
      drafts.push({
        name: names.variant(variant.name),
        origin: `spec.variants[${index}]: chosen by spec.canary`,
        headers: { [variantHeader]: variant.name },
        targets: [{ variant, weight: 1 }],
      });
    }
  } else if (mirrors) {
    drafts.push({
      name: names.weightsMirrored,
      origin: "spec.shadow: tagged requests are copied to the shadow variant",
      headers: tagged,
      targets: weighted(spec),
      mirrorTo: shadowVariant,
    });
  }
  drafts.push({
    name: names.weights,
    origin: spec.canary
      ? "spec.variants[*].weight: without the filters, plain weights"
      : "spec.variants[*].weight",
    targets: weighted(spec),
  });
  return drafts;
}

/** The same behind the header by which a filter says that a request is for the route. */
export function chosenRulesOf(route: InferenceRoute): Rule[] {
  return rulesOf(route).map((rule) => ({
    ...rule,
    headers: { [routeHeader]: routeName(route), ...rule.headers },
  }));
}

/** A rule with several targets cannot keep its drill to one of them. */
function isDrilled({ targets }: Pick<Rule, "targets">, { fault }: RouteSpec): boolean {
  if (fault === undefined) return false;
  return fault.variant === "" || targets.every(({ variant }) => variant.name === fault.variant);
}

/**
 * Weights are relative integers in Istio: percents as they are, or hundredths
 * where one has decimals. Istio drops weight 0, so it is not written.
 */
function weighted(spec: RouteSpec): Target[] {
  const taking = spec.variants.filter((variant) => variant.weight > 0);
  const scale = taking.every((variant) => Number.isInteger(variant.weight)) ? 1 : 100;
  return taking.map((variant) => ({ variant, weight: Math.round(variant.weight * scale) }));
}

/**
 * Headers that are removed from answers: those that only Weir may write (but for the variant where
 * a route has tellVariant), and the CORS headers of pods where the route has cors. llama.cpp, for
 * one, lets every page read.
 */
export function answerHeaders(spec: RouteSpec): string[] {
  const spoken = [...controlHeaders, ...shadowHeaders(spec), ...(spec.cors ? corsHeaders : [])];
  return spec.tellVariant ? spoken.filter((name) => name !== variantHeader) : spoken;
}

/**
 * Names of the http routes, in Istio and in Envoy: access logs show them and
 * an EnvoyFilter finds the routes by them, so they are unique over all routes
 * of a gateway. A "/" cannot be in a variant's
 * name, hence no variant can take the name of another route.
 */
function httpRouteNames(route: InferenceRoute): HttpRouteNames {
  const id = routeName(route);
  return {
    diverted: `${id}/diverted`,
    weights: `${id}/weights`,
    weightsMirrored: `${id}/weights/mirrored`,
    variant: (name) => `${id}/variant/${name}`,
    variantMirrored: (name) => `${id}/variant/${name}/mirrored`,
  };
}

interface HttpRouteNames {
  diverted: string;
  weights: string;
  weightsMirrored: string;
  variant: (name: string) => string;
  variantMirrored: (name: string) => string;
}
