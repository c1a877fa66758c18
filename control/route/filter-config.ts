import { createHash } from "node:crypto";
import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import {
  type FilterConfig,
  FilterConfigSchema,
  type ReportTargetSchema,
  type RoutePolicySchema,
} from "../gen/weir/v1/filter_pb.ts";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { canaryPolicy } from "./canary-policy.ts";
import { routeName } from "./names.ts";
import { arrivalPolicy, shadowPolicy, tenantsOf } from "./shadow-policy.ts";

type RoutePolicyInit = MessageInitShape<typeof RoutePolicySchema>;
export type ReportTarget = MessageInitShape<typeof ReportTargetSchema>;

/**
 * The configuration that makes the filters do what the routes ask. The same
 * routes give the same bytes; the revision is a digest of the content.
 */
export function filterConfig(states: readonly RouteState[], report?: ReportTarget): FilterConfig {
  const routes = [...states].sort((a, b) => compare(nameOf(a), nameOf(b))).map(policy);
  return withRevision(routes, report);
}

/**
 * The configuration for the sidecars of a route's shadow variant, which stamp
 * what arrives under whatever name; undefined where the route has none.
 */
export function arrivalConfig(
  route: InferenceRoute,
  report?: ReportTarget,
): FilterConfig | undefined {
  const shadow = route.spec ? arrivalPolicy(route.spec) : undefined;
  if (shadow === undefined) return undefined;
  return withRevision([{ name: routeName(route), hosts: ["*"], shadow }], report);
}

function withRevision(routes: RoutePolicyInit[], report?: ReportTarget): FilterConfig {
  const content = create(FilterConfigSchema, { routes, ...(report ? { report } : {}) });
  const revision = createHash("sha256")
    .update(JSON.stringify(toJson(FilterConfigSchema, content)))
    .digest("hex")
    .slice(0, 16);
  return create(FilterConfigSchema, { ...content, revision });
}

/** The configuration as the one JSON text that filters are given. */
export function filterConfigText(config: FilterConfig): string {
  return JSON.stringify(toJson(FilterConfigSchema, config));
}

function nameOf(state: RouteState): string {
  return state.route ? routeName(state.route) : "";
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function policy(state: RouteState): RoutePolicyInit {
  const name = nameOf(state);
  const spec = state.route?.spec;
  if (spec === undefined) return { name };
  const { rateLimit, compression } = spec;
  const canary = canaryPolicy(state, name);
  const shadow = shadowPolicy(spec);
  return {
    name,
    hosts: [...spec.hosts].sort(compare),
    ...(canary ? { canary } : {}),
    ...(rateLimit
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
    ...(compression
      ? {
          compression: {
            algorithms: compression.algorithms,
            secrets: compression.secrets || "never",
            exceptions: compression.exceptions,
            ...(compression.brownout ? { brownout: true } : {}),
          },
        }
      : {}),
  };
}

function sorted<T>(map: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compare(a, b)));
}
