import { createHash } from "node:crypto";
import {
  create,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  toJson,
} from "@bufbuild/protobuf";
import {
  type FilterConfig,
  FilterConfigSchema,
  type ReportTargetSchema,
  RoutePolicySchema,
  type TokenLimitPolicySchema,
} from "../gen/weir/v1/filter_pb.ts";
import type { RouteSpec } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { countsTokens, type FilterModule } from "./module.ts";
import { routeName } from "./names.ts";

/** The decisions that filters make, by their member of the spec. */
export const filterNames = ["canary", "rateLimit", "shadow", "compression"] as const;
export type FilterName = (typeof filterNames)[number];

/** A copy costs the proxy what the request did: images and documents are not worth one. */
const mirroredBodyBytes = 1 << 20;

export type ReportTarget = MessageInitShape<typeof ReportTargetSchema>;

/** What the filters at one place do for a route; all of it where nothing else is said. */
type Only = (state: RouteState) => readonly FilterName[];
const everything: Only = () => filterNames;

/**
 * The configuration that makes the filters do what the routes ask. The same
 * routes give the same bytes; the revision is a digest of the content. `only`
 * leaves a route to the filters that it names, where others run elsewhere.
 */
export function filterConfig(
  states: readonly RouteState[],
  report?: ReportTarget,
  only = everything,
): FilterConfig {
  const content = contentOf(states, report, only);
  content.revision = digest(toJson(FilterConfigSchema, content));
  return content;
}

/** The same as JSON. */
export function filterConfigJson(
  states: readonly RouteState[],
  report?: ReportTarget,
  only = everything,
  module: FilterModule = "weir",
): JsonObject {
  const part = configFor(module, contentOf(states, report, only));
  const content = toJson(FilterConfigSchema, part) as JsonObject;
  return { revision: digest(content), ...content };
}

function contentOf(
  states: readonly RouteState[],
  report: ReportTarget | undefined,
  only: Only,
): FilterConfig {
  const routes = [...states]
    .sort((a, b) => compare(nameOf(a), nameOf(b)))
    .map((state) => policy(state, only(state)));
  return create(FilterConfigSchema, { routes, ...(report ? { report } : {}) });
}

function digest(content: JsonValue): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

/**
 * The part of a configuration that a module reads, under the revision of the
 * whole: the token limit's copy of the tenants is none of the others' business.
 */
export function configFor(module: FilterModule, config: FilterConfig): FilterConfig {
  const routes = config.routes
    .filter(({ tokenLimit }) => module !== "token-limit" || tokenLimit !== undefined)
    .map((route) => {
      if (module === "token-limit") {
        const { name, hosts, tokenLimit } = route;
        return create(RoutePolicySchema, { name, hosts, ...(tokenLimit ? { tokenLimit } : {}) });
      }
      const { tokenLimit: _, ...rest } = route;
      return create(RoutePolicySchema, rest);
    });
  return create(FilterConfigSchema, { ...config, routes });
}

/** The configuration as the one JSON text that a module is given. */
export function filterConfigText(config: FilterConfig, module: FilterModule = "weir"): string {
  return JSON.stringify(toJson(FilterConfigSchema, configFor(module, config)));
}

function nameOf(state: RouteState): string {
  return state.route ? routeName(state.route) : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function policy(
  state: RouteState,
  only: readonly FilterName[],
): MessageInitShape<typeof RoutePolicySchema> {
  const name = nameOf(state);
  const spec = state.route?.spec;
  if (spec === undefined) return { name };
  const { canary, rateLimit, shadow, compression } = spec;
  const asked = (name: FilterName) => only.includes(name);
  const identity = rateLimit?.identity ?? [];
  return {
    name,
    hosts: [...spec.hosts].sort(compare),
    ...(canary && asked("canary")
      ? {
          canary: {
            stickyBy: canary.stickyBy,
            salt: canary.salt || name,
            buckets: state.buckets,
            variants: spec.variants
              .filter((each) => each.name !== shadow?.variant)
              .map((each) => each.name),
            ...(canary.force ? { force: canary.force, identity } : {}),
          },
        }
      : {}),
    ...(rateLimit && asked("rateLimit")
      ? {
          rateLimit: {
            identity,
            tiers: sorted(rateLimit.tiers),
            tenants: sorted(rateLimit.tenants),
            default: rateLimit.default,
            ...(rateLimit.forward ? { forward: rateLimit.forward } : {}),
            ...(rateLimit.concurrent === undefined ? {} : { concurrent: rateLimit.concurrent }),
            ...(rateLimit.overload ? { overload: rateLimit.overload } : {}),
            ...(rateLimit.fleet ? { fleet: rateLimit.fleet } : {}),
          },
        }
      : {}),
    ...(shadow && asked("shadow")
      ? {
          shadow: {
            percent: shadow.percent,
            tag: shadow.tag,
            match: shadow.match,
            modeHeader: shadow.modeHeader || "x-shadow-mode",
            tagHeader: shadow.tagHeader || "x-traffic-tag",
            ...(shadow.from.length > 0 ? { from: shadow.from, identity } : {}),
            ...(shadow.mode === "divert"
              ? {}
              : { maxBodyBytes: shadow.maxBodyBytes ?? mirroredBodyBytes }),
          },
        }
      : {}),
    ...(compression && asked("compression")
      ? {
          compression: {
            algorithms: compression.algorithms,
            secrets: compression.secrets || "never",
            exceptions: compression.exceptions,
          },
        }
      : {}),
    ...(countsTokens(spec) ? { tokenLimit: tokenPolicy(spec) } : {}),
  };
}

function tokenPolicy({
  rateLimit,
  tokens,
  variants,
}: RouteSpec): MessageInitShape<typeof TokenLimitPolicySchema> {
  const tiers = Object.entries(rateLimit?.tiers ?? {}).map(
    ([name, { tokensPerMinute }]) =>
      [name, tokensPerMinute === undefined ? {} : { tokensPerMinute }] as const,
  );
  return {
    identity: rateLimit?.identity ?? [],
    tiers: sorted(Object.fromEntries(tiers)),
    tenants: sorted(rateLimit?.tenants ?? {}),
    default: rateLimit?.default ?? "",
    variants: variants.map(({ name }) => name),
    expectedTokens: tokens?.expected ?? 1024,
    overrun: tokens?.overrun || "pass",
  };
}

function sorted<T>(map: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compare(a, b)));
}
