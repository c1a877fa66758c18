import { createHash } from "node:crypto";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import {
  FilterConfigSchema,
  type ReportTargetSchema,
  type RoutePolicySchema,
  type TokenLimitPolicySchema,
} from "../../gen/weir/v1/filter_pb.ts";
import type { InferenceRoute, RateLimit, RouteSpec, Tier } from "../../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { routeName } from "../names.ts";
import { namedRanges, tenantSources, tokenSources } from "./caller-sources.ts";
import { canaryPolicy } from "./canary-policy.ts";
import { filterConditions } from "./conditions.ts";
import { countsTokens, type FilterModule } from "./module.ts";
import { protoJson } from "./proto-json.ts";
import { selectedRoutes, selectPolicy } from "./select-policy.ts";
import {
  arrivalPolicy,
  copiedTokens,
  divertedTokens,
  shadowPolicy,
  tenantsOf,
} from "./shadow-policy.ts";

/** The decisions that filters make, by their member of the spec. */
export const filterNames = ["canary", "rateLimit", "shadow", "compression"] as const;

/** The name of a decision, of {@link filterNames}. */
export type FilterName = (typeof filterNames)[number];

type RoutePolicyInit = MessageInitShape<typeof RoutePolicySchema>;

/** Where filters report to: the message ReportTarget. */
export type ReportTarget = MessageInitShape<typeof ReportTargetSchema>;

/** What is particular to one place where filters run. */
export interface Place {
  /** What the filters there do for a route. Absent: all of it. */
  only?: (state: RouteState) => readonly FilterName[];
  /** Names under which requests for a route come there. Absent: its hosts. */
  hosts?: (state: RouteState) => readonly string[];
  /** Other instances there look after hosts that are not in the configuration. */
  shared?: boolean;
}

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
  return withRevision(protoJson(FilterConfigSchema, contentOf(states, report, {})));
}

/**
 * The configuration for the sidecars of a route's shadow variant, which mark what arrives under any
 * host; undefined where the route has none. They do not report, because what they run is not what
 * the route's own proxies run.
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

/** The part of a configuration that a module reads at one place, under a revision of its own. */
export function moduleConfig(
  states: readonly RouteState[],
  report?: ReportTarget,
  place: Place = {},
  module: FilterModule = "weir",
): FilterConfigJson {
  return withRevision(
    partFor(module, protoJson(FilterConfigSchema, contentOf(states, report, place))),
  );
}

function withRevision(content: JsonObject): FilterConfigJson {
  return { revision: digest(content), ...content };
}

/** A configuration without its revision. */
interface Content {
  routes: RoutePolicyInit[];
  report?: ReportTarget;
  shared?: boolean;
}

function contentOf(
  states: readonly RouteState[],
  report: ReportTarget | undefined,
  { only = () => filterNames, hosts, shared }: Place,
): Content {
  const selected = selectedRoutes(states.flatMap(({ route }) => route ?? []));
  const routes = [...states]
    .sort((a, b) => compare(routeName(a.route), routeName(b.route)))
    .map((state) =>
      policy(
        state,
        only(state),
        hosts?.(state) ?? state.route?.spec?.hosts ?? [],
        state.route !== undefined && selected.has(state.route),
      ),
    );
  return { routes, ...(report ? { report } : {}), ...(shared ? { shared } : {}) };
}

function digest(content: JsonObject): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

/** The one member of a route that these modules read, and that no other does. */
const ownMembers: Partial<Record<FilterModule, string>> = {
  "token-limit": "tokenLimit",
  "route-select": "select",
};

/**
 * The part of a configuration that a module reads, under the revision of the
 * whole: the token limit's copy of the tenants is none of the others' business.
 * A route without a part of its own is in it by name where it shares a host with
 * one that has one: its requests would else be taken for the other's.
 */
function partFor(module: FilterModule, config: JsonObject): JsonObject {
  const routes: JsonObject[] = [];
  const own = ownMembers[module];
  const all = (config.routes ?? []) as JsonObject[];
  const hostsOf = ({ hosts }: JsonObject) => (hosts ?? []) as string[];
  const shared = new Set(
    own === undefined ? [] : all.filter((route) => route[own] !== undefined).flatMap(hostsOf),
  );
  for (const route of all) {
    const { tokenLimit, select, ...others } = route;
    if (own === undefined) {
      routes.push(tokenLimit === undefined && select === undefined ? route : others);
      continue;
    }
    const policy = route[own];
    if (policy === undefined && !hostsOf(route).some((host) => shared.has(host))) continue;
    const { hosts, name } = others;
    routes.push({
      ...(name ? { name } : {}),
      ...(hosts ? { hosts } : {}),
      ...(policy === undefined ? {} : { [own]: policy }),
    });
  }
  const { routes: _, ...rest } = config;
  const part = routes.length > 0 ? { ...config, routes } : rest;
  if (module !== "route-select") return part;
  // One of weir.wasm and weir-full.wasm runs beside it, and reports the same revision.
  const { report: __, ...silent } = part;
  return silent;
}

/** The part of a configuration that a module gets, as JSON. */
export function filterConfigText(config: FilterConfigJson, module: FilterModule = "weir"): string {
  return JSON.stringify(partFor(module, config));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function policy(
  state: RouteState,
  only: readonly FilterName[],
  hosts: readonly string[],
  selected: boolean,
): RoutePolicyInit {
  const name = routeName(state.route);
  const spec = state.route?.spec;
  if (spec === undefined) return { name };
  const { rateLimit, compression } = spec;
  const asked = (name: FilterName) => only.includes(name);
  const canary = asked("canary") ? canaryPolicy(state, name) : undefined;
  const shadow = asked("shadow") ? shadowPolicy(spec) : undefined;
  return {
    name,
    hosts: [...hosts].sort(compare),
    ...(canary ? { canary } : {}),
    ...(rateLimit && asked("rateLimit")
      ? {
          rateLimit: {
            identity: tenantSources(rateLimit),
            tiers: sorted(rateLimit.tiers),
            tenants: sorted(tenantsOf(rateLimit, spec.shadow)),
            default: rateLimit.default,
            ...forwarded(rateLimit, countsTokens(spec)),
            ...(rateLimit.concurrent === undefined ? {} : { concurrent: rateLimit.concurrent }),
            ...(rateLimit.variantPercent === undefined
              ? {}
              : { variantPercent: rateLimit.variantPercent }),
            ...(rateLimit.overload ? { overload: rateLimit.overload } : {}),
            ...(rateLimit.fleet ? { fleet: rateLimit.fleet } : {}),
            ...(rateLimit.unknownCaller === "refuse" ? { refuseUnknown: true } : {}),
          },
        }
      : {}),
    ...(shadow ? { shadow } : {}),
    ...(compression && asked("compression")
      ? {
          compression: {
            algorithms: compression.algorithms,
            secrets: compression.secrets || "never",
            exceptions: compression.exceptions.map(({ algorithms, match }) => ({
              match: filterConditions(match),
              algorithms,
            })),
            ...(compression.brownout ? { brownout: true } : {}),
          },
        }
      : {}),
    ...(countsTokens(spec) ? { tokenLimit: tokenPolicy(spec) } : {}),
    ...(selected && state.route ? { select: selectPolicy(state.route) } : {}),
  };
}

/** The identity sources of the caller, also for token-limit.wasm where it cannot determine the tenant itself. */
function forwarded(rateLimit: RateLimit, tokens: boolean) {
  const { forward } = rateLimit;
  if (tokens && namedRanges(rateLimit).length > 0) return { forward: { ...forward, tenant: true } };
  return forward ? { forward } : {};
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
    identity: tokenSources(rateLimit),
    tiers: sorted(Object.fromEntries(tiers)),
    tenants: rateLimit ? sorted(tenantsOf(rateLimit, shadow)) : {},
    default: rateLimit?.default ?? "",
    variants: variants.map(({ name }) => name),
    ...(variants.some(({ fallback }) => fallback.length > 0) ? { fallback: true } : {}),
    expectedTokens: tokens?.expected ?? 1024,
    overrun: tokens?.overrun || "pass",
    ...(tokens?.maxTokens === undefined ? {} : { maxTokens: tokens.maxTokens }),
    ...(tokens?.cachedPercent === undefined ? {} : { cachedPercent: tokens.cachedPercent }),
    ...(tokens?.writtenPercent === undefined ? {} : { writtenPercent: tokens.writtenPercent }),
    ...(diverted ? { shadow: diverted } : {}),
    ...(rateLimit?.fleet ? { proxies: rateLimit.fleet.proxies || usualProxies } : {}),
  };
}

/** A tier's token limit, and the request limit that its response headers show with it. */
function tokenTier({ burst, requestsPerSecond = 0, tokensPerMinute }: Tier) {
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
