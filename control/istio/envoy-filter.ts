import type { JsonObject } from "@bufbuild/protobuf";
import type { Compression, InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/names.ts";
import { type AttachPoint, type Side, targetRefJson } from "./attach.ts";
import { type Compressor, compressorOn, compressorsOf } from "./compressor.ts";
import { defined, type Manifest, metadataFor, type Origin } from "./manifest.ts";

import { httpRouteNamesOf } from "./virtual-service.ts";

/** Without an explicit priority Istio warns that the order among EnvoyFilters is undefined. */
const priority = 10;

const contexts: Record<Side, string> = {
  gateway: "GATEWAY",
  client: "SIDECAR_OUTBOUND",
  server: "SIDECAR_INBOUND",
};

interface Patch {
  patch: JsonObject;
  origin: string;
}

/**
 * The EnvoyFilter that puts Envoy's compressors into the chain of an attach
 * point, or undefined when none of its routes compresses. At a gateway they
 * are off except on these routes, so that nobody else's answers change.
 */
export function envoyFilter(point: AttachPoint, weakensEtags = true): Manifest | undefined {
  const compressing = point.states
    .map((state) => state.route as InferenceRoute)
    .filter((route) => route.spec?.compression !== undefined);
  if (compressing.length === 0) return undefined;
  const patches = patchesOf(point, compressing, weakensEtags);
  const byReference = point.targetRefs.length > 0;
  const origins: Origin[] = [
    {
      path: [],
      text: `EnvoyFilter of ${compressing.map(routeName).join(", ")}: spec.compression; Istio has no other way to a compressor, and none at a waypoint`,
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
      metadata: metadataFor(point.name, point.namespace, compressing.map(routeName)),
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

function patchesOf(point: AttachPoint, routes: InferenceRoute[], weakensEtags: boolean): Patch[] {
  const offUnlessAsked = point.side === "gateway";
  const inserted = new Set<string>();
  const patches: Patch[] = [];
  for (const route of routes) {
    for (const compressor of compressorsOf(route.spec?.compression as Compression, weakensEtags)) {
      if (inserted.has(compressor.name)) continue;
      inserted.add(compressor.name);
      patches.push({
        patch: insertBeforeRouter(compressor, contexts[point.side], offUnlessAsked),
        origin: "spec.compression.algorithms, minBytes, contentTypes",
      });
    }
  }
  if (!offUnlessAsked) return patches;
  for (const route of routes) {
    const compressors = compressorsOf(route.spec?.compression as Compression);
    for (const name of httpRouteNamesOf(route)) {
      patches.push({
        patch: enableOnRoute(name, compressors),
        origin: `spec.compression: on for ${name}`,
      });
    }
  }
  return patches;
}

/** Every Wasm phase comes before the router, so the filter decides before the compressor looks. */
function insertBeforeRouter(compressor: Compressor, context: string, off: boolean): JsonObject {
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
        name: compressor.name,
        disabled: off ? true : undefined,
        typed_config: compressor.typedConfig,
      }),
    },
  };
}

/** A filter that is off in the chain is on where a route has a configuration for it. */
function enableOnRoute(name: string, compressors: Compressor[]): JsonObject {
  return {
    applyTo: "HTTP_ROUTE",
    match: { context: contexts.gateway, routeConfiguration: { vhost: { route: { name } } } },
    patch: {
      operation: "MERGE",
      value: {
        typed_per_filter_config: Object.fromEntries(
          compressors.map((compressor) => [compressor.name, compressorOn]),
        ),
      },
    },
  };
}
