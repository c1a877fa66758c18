import { createHash } from "node:crypto";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import {
  FilterConfigSchema,
  type ReportTargetSchema,
  type RoutePolicySchema,
  type TokenLimitPolicySchema,
} from "../gen/weir/v1/filter_pb.ts";
import type { InferenceRoute, RouteSpec, Tier } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { canaryPolicy } from "./canary-policy.ts";
import { countsTokens, type FilterModule } from "./module.ts";
import { routeName } from "./names.ts";
import { protoJson } from "./proto-json.ts";
import {
  arrivalPolicy,
  copiedTokens,
  divertedTokens,
  shadowPolicy,
  tenantsOf,
} from "./shadow-policy.ts";

/** The decisions that filters make, by their member of the spec. */
export const filterNames = ["canary", "rateLimit", "shadow", "compression"] as const;
export type FilterName = (typeof filterNames)[number];

type RoutePolicyInit = MessageInitShape<typeof RoutePolicySchema>;
export type ReportTarget = MessageInitShape<typeof ReportTargetSchema>;

/** What the filters at one place do for a route; all of it where nothing else is said. */
type Only = (state: RouteState) => readonly FilterName[];
const everything: Only = () => filterNames;

/** A configuration as the JSON that filters read, made once. */
export type FilterConfigJson = JsonObject & {
  /** Digest of everything else in it; filters report it back. */
  revision: string;
};

/**
 * The configuration that makes the filters do what the routes ask. The same
 * routes give the same bytes.
 */
export function filterConfig(
  states: readonly RouteState[],
  report?: ReportTarget,
): FilterConfigJson {
  return withRevision(protoJson(FilterConfigSchema, contentOf(states, report, everything)));
}

/**
 * The configuration for the sidecars of a route's shadow variant, which stamp
 * what arrives under whatever name; undefined where the route has none. They
 * report to no one: what they run is not what the route's own proxies run.
 */
export function arrivalConfig(route: InferenceRoute): FilterConfigJson | undefined {
  const shadow = route.spec ? arrivalPolicy(route.spec) : undefined;
  return shadow && forAnyHost(route, { shadow });
}

/**
 * The configuration of token-limit.wasm where nothing but a route's shadow traffic
 * passes: at the shadow variant's sidecars, or behind a gateway that copies to it;
 * undefined where the route lets its answers be as long as they are asked to be.
 */
export function copyConfig(route: InferenceRoute): FilterConfigJson | undefined {
  const tokenLimit = route.spec ? copiedTokens(route.spec) : undefined;
  return tokenLimit && forAnyHost(route, { tokenLimit });
}

function forAnyHost(route: InferenceRoute, policy: RoutePolicyInit): FilterConfigJson {
  const routes = [{ name: routeName(route), hosts: ["*"], ...policy }];
  return withRevision(protoJson(FilterConfigSchema, { routes }));
}

/**
 * The part of a configuration that a module reads, under a revision of its own;
 * `only` leaves a route to the filters that it names, where others run elsewhere.
 */
export function moduleConfig(
  states: readonly RouteState[],
  report?: ReportTarget,
  only = everything,
  module: FilterModule = "weir",
): FilterConfigJson {
  return withRevision(
    partFor(module, protoJson(FilterConfigSchema, contentOf(states, report, only))),
  );
}

function withRevision(content: JsonObject): FilterConfigJson {
  return { revision: digest(content), ...content };
}

/** A configuration without its revision. */
interface Content {
  routes: RoutePolicyInit[];
  report?: ReportTarget;
}

function contentOf(
  states: readonly RouteState[],
  report: ReportTarget | undefined,
  only: Only,
): Content {
  const routes = [...states]
    .sort((a, b) => compare(nameOf(a), nameOf(b)))
    .map((state) => policy(state, only(state)));
  return { routes, ...(report ? { report } : {}) };
}

function digest(content: JsonObject): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

/**
 * The part of a configuration that a module reads, under the revision of the
 * whole: the token limit's copy of the tenants is none of the others' business.
 */
function partFor(module: FilterModule, config: JsonObject): JsonObject {
  const routes: JsonObject[] = [];
  for (const route of (config.routes ?? []) as JsonObject[]) {
    const { tokenLimit, ...others } = route;
    if (tokenLimit === undefined) {
      if (module !== "token-limit") routes.push(route);
    } else if (module !== "token-limit") routes.push(others);
    else {
      const { hosts, name } = others;
      routes.push({ ...(name ? { name } : {}), ...(hosts ? { hosts } : {}), tokenLimit });
    }
  }
  const { routes: _, ...rest } = config;
  return routes.length > 0 ? { ...config, routes } : rest;
}

/** What of a configuration a module is given, as the one JSON text that it reads. */
export function filterConfigText(config: FilterConfigJson, module: FilterModule = "weir"): string {
  return JSON.stringify(partFor(module, config));
}

function nameOf(state: RouteState): string {
  return state.route ? routeName(state.route) : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function policy(state: RouteState, only: readonly FilterName[]): RoutePolicyInit {
  const name = nameOf(state);
  const spec = state.route?.spec;
  if (spec === undefined) return { name };
  const { rateLimit, compression } = spec;
  const asked = (name: FilterName) => only.includes(name);
  const canary = asked("canary") ? canaryPolicy(state, name) : undefined;
  const shadow = asked("shadow") ? shadowPolicy(spec) : undefined;
  return {
    name,
    hosts: [...spec.hosts].sort(compare),
    ...(canary ? { canary } : {}),
    ...(rateLimit && asked("rateLimit")
      ? {
          rateLimit: {
            identity: rateLimit.identity,
            tiers: sorted(rateLimit.tiers),
            tenants: sorted(tenantsOf(rateLimit, spec.shadow)),
            default: rateLimit.default,
            ...(rateLimit.forward ? { forward: rateLimit.forward } : {}),
            ...(rateLimit.concurrent === undefined ? {} : { concurrent: rateLimit.concurrent }),
            ...(rateLimit.overload ? { overload: rateLimit.overload } : {}),
            ...(rateLimit.fleet ? { fleet: rateLimit.fleet } : {}),
          },
        }
      : {}),
    ...(shadow ? { shadow } : {}),
    ...(compression && asked("compression")
      ? {
          compression: {
            algorithms: compression.algorithms,
            secrets: compression.secrets || "never",
            exceptions: compression.exceptions,
            ...(compression.brownout ? { brownout: true } : {}),
          },
        }
      : {}),
    ...(countsTokens(spec) ? { tokenLimit: tokenPolicy(spec) } : {}),
  };
}

/** Proxies that share a fleet's limit where no number is named, as the filter has it. */
const usualProxies = 10;

function tokenPolicy(spec: RouteSpec): MessageInitShape<typeof TokenLimitPolicySchema> {
  const { rateLimit, shadow, tokens, variants } = spec;
  const tiers = Object.entries(rateLimit?.tiers ?? {}).map(
    ([name, tier]) => [name, tokenTier(tier)] as const,
  );
  const diverted = divertedTokens(spec);
  return {
    identity: rateLimit?.identity ?? [],
    tiers: sorted(Object.fromEntries(tiers)),
    tenants: rateLimit ? sorted(tenantsOf(rateLimit, shadow)) : {},
    default: rateLimit?.default ?? "",
    variants: variants.map(({ name }) => name),
    expectedTokens: tokens?.expected ?? 1024,
    overrun: tokens?.overrun || "pass",
    ...(diverted ? { shadow: diverted } : {}),
    ...(rateLimit?.fleet ? { proxies: rateLimit.fleet.proxies || usualProxies } : {}),
  };
}

/** A tier's tokens, and the limit on requests that its clients are told beside them. */
function tokenTier({ burst, requestsPerSecond, tokensPerMinute }: Tier) {
  return {
    ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
    ...(requestsPerSecond > 0
      ? { requestsPerSecond, burst: burst || Math.ceil(requestsPerSecond) }
      : {}),
  };
}

function sorted<T>(map: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compare(a, b)));
}
