import { stringify } from "yaml";
import { wasmFilter } from "../wasm-filter.js";

const type = "type.googleapis.com/envoy";

/** Routes for two models on one host, as the filter reads them. */
const configuration = JSON.stringify({
  revision: "bench",
  routes: ["qwen", "llama"].map((name) => ({
    name,
    hosts: ["models.example.com"],
    select: {
      match: [{ rank: 2, model: name === "qwen" ? "qwen-7b" : "llama-3-8b" }],
      readsBody: true,
      maxBodyBytes: 4 << 20,
    },
  })),
});

/** How each arm finds the model, and what its route matches. @type {Record<string, { filters: object[], match: object }>} */
const ways = {
  header: {
    filters: [],
    match: { headers: [{ name: "x-model", string_match: { exact: "qwen-7b" } }] },
  },
  "route-select": {
    filters: [held(wasmFilter("build/route-select.wasm", configuration))],
    match: { headers: [{ name: "x-weir-route", string_match: { exact: "qwen" } }] },
  },
  json_to_metadata: {
    filters: [
      {
        name: "envoy.filters.http.json_to_metadata",
        typed_config: {
          "@type": `${type}.extensions.filters.http.json_to_metadata.v3.JsonToMetadata`,
          request_rules: {
            rules: [
              {
                selectors: [{ key: "model" }],
                on_present: { metadata_namespace: "models", key: "model" },
              },
            ],
          },
        },
      },
    ],
    match: {
      dynamic_metadata: [
        {
          filter: "models",
          path: [{ key: "model" }],
          value: { string_match: { exact: "qwen-7b" } },
        },
      ],
    },
  },
};

/** Lets a Wasm filter hold headers until it has read of the body. @param {ReturnType<typeof wasmFilter>} filter */
function held(filter) {
  const { config } = filter.typed_config;
  return {
    ...filter,
    typed_config: {
      ...filter.typed_config,
      config: { ...config, allow_on_headers_stop_iteration: true },
    },
  };
}

/** @param {number} port */
const address = (port) => ({ socket_address: { address: "127.0.0.1", port_value: port } });

/** @param {{ name: string, port: number }} arm */
function listener({ name, port }) {
  const { filters, match } = ways[name] ?? { filters: [], match: {} };
  const route = { cluster: "pod", timeout: "0s" };
  return {
    name: `arm-${port}`,
    address: address(port),
    // All arms may hold the largest body.
    per_connection_buffer_limit_bytes: 8 << 20,
    filter_chains: [
      {
        filters: [
          {
            name: "http",
            typed_config: {
              "@type": `${type}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: "bench",
              route_config: {
                virtual_hosts: [
                  {
                    name: "models",
                    domains: ["*"],
                    routes: [
                      {
                        match: { prefix: "/", ...match },
                        route,
                        response_headers_to_add: [{ header: { key: "x-route", value: "qwen" } }],
                      },
                      { match: { prefix: "/" }, route },
                    ],
                  },
                ],
              },
              http_filters: [
                ...filters,
                {
                  name: "router",
                  typed_config: { "@type": `${type}.extensions.filters.http.router.v3.Router` },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

/**
 * One listener per arm, all in front of one pod.
 * @param {readonly { name: string, port: number }[]} arms
 * @param {number} adminPort
 * @param {number} podPort
 */
export function modelsBootstrap(arms, adminPort, podPort) {
  return stringify({
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: arms.map(listener),
      clusters: [
        {
          name: "pod",
          type: "STATIC",
          load_assignment: {
            cluster_name: "pod",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(podPort) } }] }],
          },
        },
      ],
    },
  });
}
