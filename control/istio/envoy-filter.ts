import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/names.ts";
import { type AttachPoint, type Side, targetRefJson } from "./attach.ts";
import { type ChainFilter, compressorsOf } from "./compressor.ts";
import { connectionLimit } from "./connection-limit.ts";
import { defined, type Manifest, metadataFor, type Origin } from "./manifest.ts";

/** Without an explicit priority Istio warns that the order among EnvoyFilters is undefined. */
const priority = 10;

const contexts: Record<Side, string> = {
  gateway: "GATEWAY",
  client: "SIDECAR_OUTBOUND",
  server: "SIDECAR_INBOUND",
  waypoint: "WAYPOINT",
};

interface Patch {
  patch: JsonObject;
  origin: string;
}

/** What a route of an attach point needs in the chain, and the fields that ask for it. */
interface Wish {
  route: InferenceRoute;
  filters: ChainFilter[];
  origin: string;
}

/**
 * The EnvoyFilter that puts Envoy's compressors and native limits into the
 * chain of an attach point, or undefined when none of its routes needs any. At
 * a gateway they are off except on these routes, so that nobody else's answers
 * change. `ruleNames` are the names of a route's HTTP rules in Envoy.
 */
export function envoyFilter(
  point: AttachPoint,
  ruleNames: (route: InferenceRoute) => string[],
  weakensEtags = true,
): Manifest | undefined {
  const wishes = wishesOf(point, weakensEtags);
  if (wishes.length === 0) return undefined;
  const patches = patchesOf(point, wishes, ruleNames);
  const routes = [...new Set(wishes.map(({ route }) => routeName(route)))];
  const asked = [...new Set(wishes.map(({ origin }) => origin.split(":")[0]))].join(", ");
  const byReference = point.targetRefs.length > 0;
  const origins: Origin[] = [
    {
      path: [],
      text: `EnvoyFilter of ${routes.join(", ")}: ${asked}; Istio has no other way to it, and none at a waypoint`,
    },
    ...patches.map(({ origin }, index) => ({
      path: ["spec", "configPatches", index],
      text: origin,
    })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1alpha3",
      kind: "EnvoyFilter",
      metadata: metadataFor(point.name, point.namespace, routes),
      spec: defined({
        workloadSelector: byReference ? undefined : { labels: point.selector },
        targetRefs: byReference ? point.targetRefs.map(targetRefJson) : undefined,
        priority,
        configPatches: patches.map(({ patch }) => patch),
      }),
    },
    origins,
  };
}

/** The order is that of the chain: who is refused is not compressed. */
function wishesOf(point: AttachPoint, weakensEtags: boolean): Wish[] {
  const limits: Wish[] = [];
  const compressors: Wish[] = [];
  for (const [index, { route }] of point.states.entries()) {
    const { compression, rateLimit } = route?.spec ?? {};
    const here = point.filters[index] ?? [];
    if (route && rateLimit?.perConnection && here.includes("rateLimit")) {
      const filters = [connectionLimit(rateLimit.perConnection)];
      limits.push({ route, filters, origin: "spec.rateLimit.perConnection" });
    }
    if (route && compression && here.includes("compression")) {
      const filters = compressorsOf(compression, weakensEtags);
      const origin = "spec.compression: algorithms, minBytes, contentTypes";
      compressors.push({ route, filters, origin });
    }
  }
  return [...limits, ...compressors];
}

function patchesOf(
  point: AttachPoint,
  wishes: Wish[],
  ruleNames: (route: InferenceRoute) => string[],
): Patch[] {
  const offUnlessAsked = point.side === "gateway";
  const inserted = new Set<string>();
  const patches: Patch[] = [];
  for (const { filters, origin } of wishes) {
    for (const filter of filters) {
      if (inserted.has(filter.name)) continue;
      inserted.add(filter.name);
      patches.push({
        patch: insertBeforeRouter(filter, contexts[point.side], offUnlessAsked),
        origin,
      });
    }
  }
  if (!offUnlessAsked) return patches;
  for (const { route, filters, origin } of wishes) {
    for (const name of ruleNames(route)) {
      patches.push({
        patch: enableOnRoute(name, filters),
        origin: `${origin.split(":")[0]}: on for ${name}`,
      });
    }
  }
  return patches;
}

/** Every Wasm phase comes before the router, so the filter decides before the compressor looks. */
function insertBeforeRouter(filter: ChainFilter, context: string, off: boolean): JsonObject {
  return {
    applyTo: "HTTP_FILTER",
    match: {
      context,
      listener: {
        filterChain: {
          filter: {
            name: "envoy.filters.network.http_connection_manager",
            subFilter: { name: "envoy.filters.http.router" },
          },
        },
      },
    },
    patch: {
      operation: "INSERT_BEFORE",
      value: defined({
        name: filter.name,
        disabled: off && filter.idleConfig === undefined ? true : undefined,
        typed_config: (off ? filter.idleConfig : undefined) ?? filter.typedConfig,
      }),
    },
  };
}

/** A filter that is off in the chain is on where a route has a configuration for it. */
function enableOnRoute(name: string, filters: ChainFilter[]): JsonObject {
  return {
    applyTo: "HTTP_ROUTE",
    match: { context: contexts.gateway, routeConfiguration: { vhost: { route: { name } } } },
    patch: {
      operation: "MERGE",
      value: {
        typed_per_filter_config: Object.fromEntries(
          filters.map((filter) => [filter.name, filter.onRoute]),
        ),
      },
    },
  };
}
