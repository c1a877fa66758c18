import { resolve } from "node:path";
import { stringify } from "yaml";

const managerType =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/** A policy under which nothing is refused: the tier without a limit is only measured. */
const configuration = JSON.stringify({
  revision: "bench",
  routes: [
    {
      name: "inference/chat",
      hosts: ["chat.example.com"],
      tokenLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { limited: { tokensPerMinute: "1000000000" }, measured: {} },
        tenants: { acme: "limited" },
        default: "measured",
        variants: ["stable"],
      },
    },
  ],
});

/** @param {string} module */
const wasm = (module) => ({
  name: "filter",
  typed_config: {
    "@type": wasmType,
    config: {
      name: "filter",
      vm_config: {
        runtime: "envoy.wasm.runtime.v8",
        code: { local: { filename: resolve(module) } },
      },
      configuration: {
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        value: configuration,
      },
    },
  },
});

/** @param {number} port @param {string | undefined} module */
const listener = (port, module) => ({
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
              ...(module ? [wasm(module)] : []),
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

/**
 * One listener per arm, all in front of one pod.
 * @param {readonly { port: number, module?: string }[]} arms
 * @param {number} adminPort
 * @param {number} podPort
 */
export function tokenBootstrap(arms, adminPort, podPort) {
  const address = (/** @type {number} */ port) => ({
    socket_address: { address: "127.0.0.1", port_value: port },
  });
  return stringify({
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: arms.map(({ port, module }) => listener(port, module)),
      clusters: [
        {
          name: "pod",
          type: "STATIC",
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
