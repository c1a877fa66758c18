import { resolve } from "node:path";
import { stringify } from "yaml";

const wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";

/** All four decisions for the benchmark's request; the limit is one that no one reaches. */
const configuration = JSON.stringify({
  revision: "bench",
  routes: [
    {
      name: "inference/chat",
      hosts: ["chat.example.com"],
      canary: {
        stickyBy: [{ header: "x-user-id" }],
        salt: "inference/chat",
        variants: ["stable", "canary"],
        buckets: [
          { variant: "stable", count: 9000 },
          { variant: "canary", count: 1000 },
        ],
      },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: {
          gold: { requestsPerSecond: 1000000, burst: 1000000 },
          bronze: { requestsPerSecond: 5, burst: 10 },
        },
        tenants: { acme: "gold" },
        default: "bronze",
      },
      shadow: { percent: 1, tag: "bench", modeHeader: "x-shadow-mode", tagHeader: "x-traffic-tag" },
      compression: { algorithms: ["gzip"], secrets: "never" },
    },
  ],
});

/** @param {string} module */
function wasmFilter(module) {
  return {
    name: module,
    typed_config: {
      "@type": wasmType,
      config: {
        name: module,
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
  };
}

/** @param {{ port: number, modules: readonly string[] }} arm */
function listener({ port, modules }) {
  /** @param {string} variant */
  const variant = (variant) => ({
    match: { prefix: "/", headers: [{ name: "x-weir-variant", string_match: { exact: variant } }] },
    direct_response: { status: 200 },
  });
  return {
    name: `arm-${port}`,
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: `arm-${port}`,
              route_config: {
                virtual_hosts: [
                  {
                    name: "all",
                    domains: ["*"],
                    routes: [
                      variant("stable"),
                      variant("canary"),
                      { match: { prefix: "/" }, direct_response: { status: 200 } },
                    ],
                  },
                ],
              },
              http_filters: [
                ...modules.map(wasmFilter),
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
  };
}

/** One listener per arm. @param {readonly { port: number, modules: readonly string[] }[]} arms @param {{ host: string, port: number }} admin */
export function benchBootstrap(arms, admin) {
  return stringify({
    admin: { address: { socket_address: { address: admin.host, port_value: admin.port } } },
    static_resources: { listeners: arms.map(listener) },
  });
}
