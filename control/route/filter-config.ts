import { createHash } from "node:crypto";
import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import {
  type FilterConfig,
  FilterConfigSchema,
  type ReportTargetSchema,
  type RoutePolicySchema,
} from "../gen/weir/v1/filter_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "./names.ts";

/** A copy costs the proxy what the request did: images and documents are not worth one. */
const mirroredBodyBytes = 1 << 20;

export type ReportTarget = MessageInitShape<typeof ReportTargetSchema>;

/**
 * The configuration that makes the filters do what the routes ask. The same
 * routes give the same bytes; the revision is a digest of the content.
 */
export function filterConfig(states: readonly RouteState[], report?: ReportTarget): FilterConfig {
  const routes = [...states].sort((a, b) => compare(nameOf(a), nameOf(b))).map(policy);
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

function policy(state: RouteState): MessageInitShape<typeof RoutePolicySchema> {
  const name = nameOf(state);
  const spec = state.route?.spec;
  if (spec === undefined) return { name };
  const { canary, rateLimit, shadow, compression } = spec;
  const identity = rateLimit?.identity ?? [];
  return {
    name,
    hosts: [...spec.hosts].sort(compare),
    ...(canary
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
    ...(rateLimit
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
    ...(shadow
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
    ...(compression
      ? {
          compression: {
            algorithms: compression.algorithms,
            secrets: compression.secrets || "never",
            exceptions: compression.exceptions,
          },
        }
      : {}),
  };
}

function sorted<T>(map: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => compare(a, b)));
}
