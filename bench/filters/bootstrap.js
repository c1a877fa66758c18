import { stringify } from "yaml";
import { hosts } from "./policies.js";

const connectionManager =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const router = {
  name: "router",
  typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
};

/** What a filter changed, as the answer tells it. */
const shown = ["x-weir-variant", "x-weir-tier", "accept-encoding"].map((name) => ({
  header: { key: `shown-${name}`, value: `%REQ(${name})%` },
}));

/** @param {string} variant */
const variant = (variant) => ({
  match: { prefix: "/", headers: [{ name: "x-weir-variant", string_match: { exact: variant } }] },
  direct_response: { status: 200 },
});
const anyone = { match: { prefix: "/" }, direct_response: { status: 200 } };

const virtualHosts = [
  {
    name: "measured",
    domains: [hosts.measured],
    routes: [variant("stable"), variant("canary"), anyone],
  },
  {
    name: "shown",
    domains: [hosts.shown],
    routes: [{ ...anyone, response_headers_to_add: shown }],
  },
  {
    name: "open",
    domains: [hosts.open],
    routes: [{ match: { prefix: "/" }, route: { cluster: "open", timeout: "0s" } }],
  },
];

/** @param {{ port: number, filters: readonly object[] }} arm */
function listener({ port, filters }) {
  const manager = {
    "@type": connectionManager,
    stat_prefix: `arm-${port}`,
    stream_idle_timeout: "0s",
    route_config: { virtual_hosts: virtualHosts },
    http_filters: [...filters, router],
  };
  return {
    name: `arm-${port}`,
    address: { socket_address: { address: "127.0.0.1", port_value: port } },
    filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
  };
}

/** @param {number} port of the upstream that never ends an answer */
function openCluster(port) {
  const max = 100_000;
  return {
    name: "open",
    load_assignment: {
      cluster_name: "open",
      endpoints: [
        {
          lb_endpoints: [
            {
              endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
            },
          ],
        },
      ],
    },
    circuit_breakers: {
      thresholds: [{ max_connections: max, max_pending_requests: max, max_requests: max }],
    },
  };
}

/**
 * One listener per arm.
 * @param {readonly { port: number, filters: readonly object[] }[]} arms
 * @param {{ host: string, port: number }} admin
 * @param {number} upstreamPort
 */
export function benchBootstrap(arms, admin, upstreamPort) {
  return stringify(
    {
      admin: { address: { socket_address: { address: admin.host, port_value: admin.port } } },
      static_resources: { listeners: arms.map(listener), clusters: [openCluster(upstreamPort)] },
    },
    { aliasDuplicateObjects: false },
  );
}
