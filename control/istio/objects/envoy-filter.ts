import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../../route/index.ts";
import { type AttachPoint, type Side, targetRefJson } from "../attach.ts";
import { defined, type Manifest, metadataFor, type Origin } from "../manifest.ts";
import { countedAt, tokenFilterName } from "../token-filter.ts";
import { type ChainFilter, compressorsOf } from "./compressor.ts";
import { connectionLimit } from "./connection-limit.ts";
import { type Patch, sharedCompression } from "./shared-compression.ts";

/** Without an explicit priority Istio warns that the order among EnvoyFilters is undefined. */
const priority = 10;

/** Where the proxies of a side stand, in the words of an EnvoyFilter. */
export const contexts: Record<Side, string> = {
  gateway: "GATEWAY",
  client: "SIDECAR_OUTBOUND",
  server: "SIDECAR_INBOUND",
  waypoint: "WAYPOINT",
};

/** What a route of an attach point needs in the chain, and the fields that ask for it. */
interface Wish {
  route: InferenceRoute;
  filters: ChainFilter[];
  origin: string;
  compresses: boolean;
}

/**
 * The EnvoyFilter that puts Envoy's compressors, native limits and CORS into the
 * chain of an attach point, or undefined when none of its routes needs any. At
 * a gateway they are off except on these routes, so that nobody else's answers
 * change. `ruleNames` are the names of a route's HTTP rules in Envoy.
 */
export function envoyFilter(
  point: AttachPoint,
  ruleNames: (route: InferenceRoute) => string[],
  since30 = true,
): Manifest | undefined {
  const wishes = wishesOf(point, since30);
  const pages = readByPages(point);
  if (wishes.length === 0 && pages.length === 0) return undefined;
  const patches = [
    ...(pages.length > 0 ? [corsFirst] : []),
    ...patchesOf(point, wishes, ruleNames, anchorOf(point, since30)),
  ];
  const routes = [...new Set([...pages, ...wishes.map(({ route }) => route)].map(routeName))];
  const asked = [...new Set(patches.map(({ origin }) => origin.split(":")[0]))].join(", ");
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

/** Routes whose refusals pages may read; they come to gateways. */
function readByPages(point: AttachPoint): InferenceRoute[] {
  if (point.side !== "gateway") return [];
  return point.states.flatMap(({ route }) => (route?.spec?.cors ? [route] : []));
}

/**
 * Istio's own CORS filter stands behind the Wasm filters, so what they answer would lack the
 * headers by which a page may read it. One before them goes by the same policy, which the
 * VirtualService gives to filters of this name, and changes nothing on other routes.
 */
const corsFirst: Patch = {
  patch: {
    applyTo: "HTTP_FILTER",
    match: {
      context: contexts.gateway,
      listener: {
        filterChain: { filter: { name: "envoy.filters.network.http_connection_manager" } },
      },
    },
    patch: {
      operation: "INSERT_FIRST",
      value: {
        name: "envoy.filters.http.cors",
        typed_config: {
          "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors",
        },
      },
    },
  },
  origin: "spec.cors: before the filters, whose refusals pages may read as well",
};

/** The order is that of the chain: who is refused is not compressed. */
function wishesOf(point: AttachPoint, weakensEtags: boolean): Wish[] {
  const limits: Wish[] = [];
  const compressors: Wish[] = [];
  for (const [index, { route }] of point.states.entries()) {
    const { compression, rateLimit } = route?.spec ?? {};
    const here = point.filters[index] ?? [];
    if (route && rateLimit?.perConnection && here.includes("rateLimit")) {
      const filters = [connectionLimit(rateLimit.perConnection)];
      limits.push({
        route,
        filters,
        origin: "spec.rateLimit.perConnection",
        compresses: false,
      });
    }
    if (route && compression && here.includes("compression")) {
      const filters = compressorsOf(compression, weakensEtags);
      const origin = "spec.compression: algorithms, minBytes, contentTypes";
      compressors.push({ route, filters, origin, compresses: true });
    }
  }
  return [...limits, ...compressors];
}

function patchesOf(
  point: AttachPoint,
  wishes: Wish[],
  ruleNames: (route: InferenceRoute) => string[],
  anchor: string,
): Patch[] {
  const offUnlessAsked = point.side === "gateway";
  const inserted = new Set<string>();
  const patches: Patch[] = [];
  for (const { filters, origin } of wishes) {
    for (const filter of filters) {
      if (inserted.has(filter.name)) continue;
      inserted.add(filter.name);
      patches.push({
        patch: insertBefore(anchor, filter, contexts[point.side], offUnlessAsked),
        origin,
      });
    }
  }
  if (!offUnlessAsked) return patches;
  const compressed = new Map(
    wishes.filter(({ compresses }) => compresses).map(({ filters, route }) => [route, filters]),
  );
  patches.push(...sharedCompression(point, (route) => compressed.get(route) ?? [], ruleNames));
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

/**
 * Every Wasm phase comes before the router, so the filter decides before the
 * compressor looks. The filter that reads answers must stand behind the
 * compressors, or it would read what they made of them.
 */
function anchorOf(point: AttachPoint, since30: boolean): string {
  return countedAt(point).length > 0
    ? tokenFilterName(point, since30)
    : "envoy.filters.http.router";
}

function insertBefore(
  anchor: string,
  filter: ChainFilter,
  context: string,
  off: boolean,
): JsonObject {
  return {
    applyTo: "HTTP_FILTER",
    match: {
      context,
      listener: {
        filterChain: {
          filter: {
            name: "envoy.filters.network.http_connection_manager",
            subFilter: { name: anchor },
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
