import { stringify } from "yaml";
import { wasmFilter } from "./wasm-filter.js";

const managerType =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** @typedef {{ module: string, configuration: string }} Filter a module and what it is configured with */

/** @param {number} port @param {readonly Filter[]} filters */
const listener = (port, filters) => ({
  name: `arm-${port}`,
  address: { socket_address: { address: "127.0.0.1", port_value: port } },
  filter_chains: [
    {
      filters: [
        {
          name: "http",
          typed_config: {
            "@type": managerType,
            stat_prefix: "bench",
            route_config: {
              virtual_hosts: [
                {
                  name: "all",
                  domains: ["*"],
                  routes: [{ match: { prefix: "/" }, route: { cluster: "pod", timeout: "0s" } }],
                },
              ],
            },
            http_filters: [
              ...filters.map(({ module, configuration }) => wasmFilter(module, configuration)),
              {
                name: "router",
                typed_config: {
                  "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                },
              },
            ],
          },
        },
      ],
    },
  ],
});

/** @param {number} perConnection */
const http = (perConnection) => ({
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    common_http_protocol_options: { max_requests_per_connection: perConnection },
    explicit_http_config: { http_protocol_options: {} },
  },
});

/**
 * One listener per arm, all in front of one pod.
 * @param {readonly { port: number, filters: readonly Filter[] }[]} arms
 * @param {number} adminPort
 * @param {number} podPort
 * @param {number} [perConnection] requests that a connection to the pod carries; absent: any number
 */
export function wasmBootstrap(arms, adminPort, podPort, perConnection) {
  const address = (/** @type {number} */ port) => ({
    socket_address: { address: "127.0.0.1", port_value: port },
  });
  return stringify({
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: arms.map(({ port, filters }) => listener(port, filters)),
      clusters: [
        {
          name: "pod",
          type: "STATIC",
          ...(perConnection ? { typed_extension_protocol_options: http(perConnection) } : {}),
          circuit_breakers: {
            thresholds: [
              { max_connections: 10000, max_requests: 10000, max_pending_requests: 10000 },
            ],
          },
          load_assignment: {
            cluster_name: "pod",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(podPort) } }] }],
          },
        },
      ],
    },
  });
}
