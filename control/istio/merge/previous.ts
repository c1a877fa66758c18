import { create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type BucketRun, BucketRunSchema } from "../../gen/weir/v1/filter_pb.ts";
import { type RouteState, RouteStateSchema } from "../../gen/weir/v1/service_pb.ts";
import type { KubernetesObject } from "../../objects/index.ts";
import { bucketCount, initialBuckets, toPercent } from "../../route/index.ts";

/** The part of an object's filter configuration for one route that is read here. */
interface Policy {
  name?: string;
  canary?: { buckets?: JsonValue[] };
}

/**
 * Reads from objects that were rendered before which users are with which variant: from the
 * filters' bucket tables, else from the plain weights. By "namespace/name" of the route; a state
 * has its buckets alone.
 */
export function previousStates(objects: readonly KubernetesObject[]): Map<string, RouteState> {
  const states = new Map<string, RouteState>();
  for (const object of objects)
    if (object.kind === "VirtualService")
      for (const route of routesOf(object)) {
        const buckets = fromWeights(object, route);
        if (buckets) states.set(route, create(RouteStateSchema, { buckets }));
      }
  for (const object of objects)
    for (const { canary, name } of policiesOf(object)) {
      const buckets = fromTable(canary?.buckets ?? []);
      if (name && buckets) states.set(name, create(RouteStateSchema, { buckets }));
    }
  return states;
}

/** Routes that an object was rendered for. */
export function routesOf({ metadata }: KubernetesObject): string[] {
  const text = metadata.annotations?.["weir.dev/route"] ?? "";
  return text === "" ? [] : text.split(",");
}

function policiesOf({ kind, spec }: KubernetesObject): Policy[] {
  const holder =
    kind === "TrafficExtension" ? spec?.wasm : kind === "WasmPlugin" ? spec : undefined;
  const config = (holder as { pluginConfig?: { routes?: Policy[] } } | undefined)?.pluginConfig;
  return Array.isArray(config?.routes) ? config.routes : [];
}

function fromTable(runs: JsonValue[]): BucketRun[] | undefined {
  try {
    const buckets = runs.map((run) => fromJson(BucketRunSchema, run));
    return buckets.reduce((sum, { count }) => sum + count, 0) === bucketCount ? buckets : undefined;
  } catch {
    // Not a table that Weir wrote: as if there were none.
    return undefined;
  }
}

function fromWeights({ spec }: KubernetesObject, route: string): BucketRun[] | undefined {
  const rules = (spec?.http ?? []) as {
    name?: string;
    route?: { weight?: number; destination?: { subset?: string } }[];
  }[];
  const targets = rules.find(({ name }) => name === `${route}/weights`)?.route ?? [];
  const total = targets.reduce((sum, { weight }) => sum + (weight ?? 1), 0);
  if (total === 0 || targets.some(({ destination }) => !destination?.subset)) return undefined;
  return initialBuckets(
    targets.map(({ destination, weight }) => ({
      name: destination?.subset ?? "",
      weight: toPercent(Math.round(((weight ?? 1) * bucketCount) / total)),
    })),
  );
}
