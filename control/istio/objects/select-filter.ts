import type { JsonObject } from "@bufbuild/protobuf";
import { bodyLimit, hostGroups } from "../../route/index.ts";
import { type AttachPoint, targetRefJson } from "../attach.ts";
import { defined, type Manifest, metadataFor, type Origin } from "../manifest.ts";
import { selectedAt } from "../select-filter.ts";
import { contexts } from "./envoy-filter.ts";
import type { FailStrategy, FilterCode } from "./traffic-extension.ts";

/**
 * Lower than that of the EnvoyFilter with the CORS filter, which is inserted
 * first as well, and has to be ahead of this one: pages may read its refusals.
 */
const priority = 5;

const wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/** What the agent of a sidecar puts in the place of code that it cannot download. */
const rbacType = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/**
 * The EnvoyFilter that inserts route-select.wasm where it reads bodies. A
 * TrafficExtension cannot say that a filter holds the headers of a request until
 * it has read of its body. The configuration goes over ECDS like theirs: no
 * change of it drains a listener, and the proxy's agent downloads the code.
 */
export function selectFilter(point: AttachPoint, code: FilterCode): Manifest {
  const context = contexts[point.side];
  const name = `weir-route-select.${point.name}`;
  const byReference = point.targetRefs.length > 0;
  const limits = bufferLimits(point, context);
  const patches = [extension(name, context, code), inserted(name, context), ...limits];
  const origins: Origin[] = [
    {
      path: [],
      text: `EnvoyFilter of ${point.routes.join(", ")}: spec.attach; Istio has no other way to hold headers until a body is read`,
    },
    { path: ["spec", "configPatches", 0], text: code.origin },
    ...limits.map((_, index) => ({
      path: ["spec", "configPatches", 2 + index],
      text: "spec.models.maxBodyBytes, and some more",
    })),
  ];
  return {
    object: {
      apiVersion: "networking.istio.io/v1alpha3",
      kind: "EnvoyFilter",
      metadata: metadataFor(point.name, point.namespace, point.routes),
      spec: defined({
        workloadSelector: byReference ? undefined : { labels: point.selector },
        targetRefs: byReference ? point.targetRefs.map(targetRefJson) : undefined,
        priority,
        configPatches: patches,
      }),
    },
    origins,
  };
}

function extension(name: string, context: string, code: FilterCode): JsonObject {
  return {
    applyTo: "EXTENSION_CONFIG",
    match: { context },
    patch: {
      operation: "ADD",
      value: {
        name,
        typed_config: {
          "@type": wasmType,
          config: {
            name,
            root_id: code.pluginName,
            failure_policy: code.failStrategy satisfies FailStrategy,
            allow_on_headers_stop_iteration: true,
            vm_config: { runtime: "envoy.wasm.runtime.v8", code: source(code.wasmUrl) },
            configuration: {
              "@type": "type.googleapis.com/google.protobuf.StringValue",
              value: JSON.stringify(code.pluginConfig),
            },
          },
        },
      },
    },
  };
}

/** As istiod writes the code of a TrafficExtension: the agent replaces what is remote. */
function source(url: string): JsonObject {
  return url.startsWith("file://")
    ? { local: { filename: url.slice("file://".length) } }
    : { remote: { http_uri: { uri: url, cluster: "_", timeout: "30s" } } };
}

function inserted(name: string, context: string): JsonObject {
  return {
    applyTo: "HTTP_FILTER",
    match: {
      context,
      listener: {
        filterChain: { filter: { name: "envoy.filters.network.http_connection_manager" } },
      },
    },
    patch: {
      operation: "INSERT_FIRST",
      value: {
        name,
        config_discovery: {
          config_source: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
          type_urls: [wasmType, rbacType],
        },
      },
    },
  };
}

/** How much of a body the proxy may hold on the hosts whose routes ask for it. */
function bufferLimits(point: AttachPoint, context: string): JsonObject[] {
  const routes = selectedAt(point).flatMap(({ route }) => route ?? []);
  return hostGroups(routes).flatMap(({ hosts, routes: sharing, selects }) => {
    const limit = selects ? bodyLimit(sharing) : 0;
    if (limit === 0) return [];
    return hosts.map((domainName) => ({
      applyTo: "VIRTUAL_HOST",
      match: { context, routeConfiguration: { vhost: { domainName } } },
      patch: { operation: "MERGE", value: { request_body_buffer_limit: limit } },
    }));
  });
}
