import { clone, equals, toJson } from "@bufbuild/protobuf";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { stringify } from "yaml";
import { type InferenceRoute, InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import type { Move, RouteState } from "../gen/weir/v1/service_pb.ts";
import { initialBuckets, movesBetween, shiftBuckets } from "./buckets.ts";
import type { RouteDraft } from "./draft.ts";

/** What storing a document would change. */
export interface Plan {
  changed: boolean;
  /** Unified diff of the two documents as YAML; empty when they are equal. */
  diff: string;
  moves: Move[];
}

/** Whether two documents have equal content. */
export function sameRoute(a: InferenceRoute | undefined, b: InferenceRoute | undefined): boolean {
  return a !== undefined && b !== undefined && equals(InferenceRouteSchema, a, b);
}

/** Whether two documents differ in nothing but weights. */
export function sameButWeights(
  a: InferenceRoute | undefined,
  b: InferenceRoute | undefined,
): boolean {
  if (a === undefined || b === undefined) return false;
  const other = clone(InferenceRouteSchema, b);
  other.spec?.variants.forEach((variant, i) => {
    variant.weight = a.spec?.variants[i]?.weight ?? Number.NaN;
  });
  return equals(InferenceRouteSchema, a, other);
}

/** The route with its bucket table: edited from the stored one, or laid out anew. */
export function draftRoute(route: InferenceRoute, stored: RouteState | undefined): RouteDraft {
  const variants = route.spec?.variants ?? [];
  const buckets =
    stored && stored.buckets.length > 0
      ? shiftBuckets(stored.buckets, variants)
      : initialBuckets(variants);
  return { route, buckets };
}

/**
 * What applying a route would change, compared with what is stored.
 * @param stored undefined: nothing is stored, so nobody moves
 */
export function planRoute(route: InferenceRoute, stored: RouteState | undefined): Plan {
  const before = stored?.route ? toYaml(stored.route) : "";
  const changed = !sameRoute(stored?.route, route);
  const moves = stored ? movesBetween(stored.buckets, draftRoute(route, stored).buckets) : [];
  return {
    changed,
    diff: changed
      ? createTwoFilesPatch("stored", "given", before, toYaml(route), "", "", {
          context: 3,
          headerOptions: FILE_HEADERS_ONLY,
        })
      : "",
    moves,
  };
}

/** The document as people write it; kubectl, which reads YAML 1.1 in part, reads the same. */
export function toYaml(route: InferenceRoute): string {
  return stringify(toJson(InferenceRouteSchema, route), { lineWidth: 0, compat: "yaml-1.1" });
}
