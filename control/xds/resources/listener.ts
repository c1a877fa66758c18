import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { type Listener, ListenerSchema } from "../../gen/envoy/config/listener/v3/listener_pb.ts";
import { RouterSchema } from "../../gen/envoy/extensions/filters/http/router/v3/router_pb.ts";
import {
  HttpConnectionManagerSchema,
  type HttpFilterSchema,
} from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { adsSource, pack, socketAddress } from "./common.ts";
import { compressors } from "./compressors.ts";
import { connectionLimits } from "./connection-limit.ts";
import { corsFilter } from "./cors.ts";
import { edgeFilterChain, edgeListener, edgeManager } from "./edge.ts";
import { wasmFilter } from "./extension.ts";
import { faultFilter } from "./fault.ts";
import {
  type FilterCode,
  filterName,
  listenerName,
  type ResourceOptions,
  routeConfigName,
  selectFilterName,
  tokenFilterName,
} from "./options.ts";

type FilterInit = Exclude<MessageInitShape<typeof HttpFilterSchema>, { $typeName: string }>;

const wasmTypeUrl = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/** Takes over where the first configuration is refused: limits nothing, but removes what clients may not claim. */
const emptyConfig = JSON.stringify({ revision: "none" });

/** The one listener: Weir's filter over ECDS, Envoy's own, the router. It does not change with a weight. */
export function gatewayListener(
  routes: readonly InferenceRoute[],
  options: ResourceOptions,
): Listener {
  const manager = pack(HttpConnectionManagerSchema, {
    statPrefix: listenerName,
    routeSpecifier: {
      case: "rds",
      value: { routeConfigName, configSource: adsSource() },
    },
    ...edgeManager(options.edge),
    httpFilters: [
      ...corsFilter(routes),
      // First of Weir's own: what the others do for a request is told by its route.
      ...(options.routeSelect
        ? [{ ...discovered(selectFilterName, options.routeSelect), disabled: true }]
        : []),
      discovered(filterName, { ...options.weir, wasm: options.fallback ?? options.weir.wasm }),
      ...connectionLimits(routes),
      ...compressors(routes),
      // Behind the compressors, so that it reads answers before they are compressed.
      ...(options.tokenLimit ? [discovered(tokenFilterName, options.tokenLimit)] : []),
      // Next to the pods, as Istio has it: what a drill does to them is measured like what they do.
      faultFilter(),
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: pack(RouterSchema, {}) },
      },
    ],
  });
  return create(ListenerSchema, {
    name: listenerName,
    address: socketAddress(options.gateway),
    ...edgeListener(options.edge),
    filterChains: [
      {
        ...edgeFilterChain(options.edge),
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: manager },
          },
        ],
      },
    ],
  });
}

function discovered(name: string, { wasm }: FilterCode): FilterInit {
  const holdsHeaders = name === selectFilterName;
  const code = { wasm, config: emptyConfig };
  const fallback = wasmFilter(name, code, "refuse", { holdsHeaders }).typedConfig;
  return {
    name,
    configType: {
      case: "configDiscovery",
      value: {
        configSource: adsSource(),
        typeUrls: [wasmTypeUrl],
        ...(fallback ? { defaultConfig: fallback } : {}),
      },
    },
  };
}
