import { isIP, isIPv4 } from "node:net";
import { stringify } from "yaml";
import { overloadManager, type ProxyLimits } from "./overload-manager.ts";
import type { Address } from "./resources/options.ts";

/** What an Envoy has to know before it asks for the rest. */
export interface BootstrapOptions {
  /** Unique among the proxies. */
  node: string;
  /** The control service's xDS address, as the proxy reaches it; of every replica where there are several. */
  xds: Address | readonly Address[];
  /** Envoy's admin interface. */
  admin: Address;
  /** Asks for changes alone (incremental xDS). Absent: false. */
  delta?: boolean;
  /** Bearer token of the proxy. Absent: it shows none. */
  token?: string;
  /** Paths on the proxy's machine: the control service's authority (then TLS is used), and what the proxy shows. */
  ca?: string;
  cert?: string;
  key?: string;
  /** What the proxy may use before it sheds load. Absent: Weir's own limits. */
  limits?: ProxyLimits;
}

/** Labels in the names of the filters' metrics, as Envoy's statistics shall show them. */
const tags = ["route", "variant", "tier"];

/** The bootstrap of an Envoy that gets everything else from Weir, as YAML. */
export function bootstrap(options: BootstrapOptions): string {
  const { node, admin, delta, token } = options;
  const replicas = replicasOf(options);
  const socketAddress = ({ host, port }: Address) => ({
    socket_address: { address: host, port_value: port },
  });
  const source = { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" };
  return stringify({
    node: { id: node, cluster: "weir" },
    admin: { address: socketAddress(admin), ...adminPaths(admin) },
    overload_manager: overloadManager(options.limits),
    stats_config: {
      stats_tags: tags.map((tag) => ({ tag_name: tag, regex: `(${tag}=\\.=(.*?);\\.;)` })),
    },
    dynamic_resources: {
      ads_config: {
        api_type: delta ? "DELTA_GRPC" : "GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: { cluster_name: "weir_xds" },
            ...(token
              ? { initial_metadata: [{ key: "authorization", value: `Bearer ${token}` }] }
              : {}),
          },
        ],
      },
      cds_config: source,
      lds_config: source,
    },
    static_resources: {
      clusters: [
        {
          name: "weir_xds",
          type: "STATIC",
          connect_timeout: "1s",
          ...transport(options),
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: {
                http2_protocol_options: {
                  connection_keepalive: { interval: "30s", timeout: "5s" },
                },
              },
            },
          },
          load_assignment: {
            cluster_name: "weir_xds",
            endpoints: [
              {
                lb_endpoints: replicas.map((replica) => ({
                  endpoint: { address: socketAddress(replica) },
                })),
              },
            ],
          },
        },
      ],
    },
  });
}

/** Beyond this machine nobody may see tokens in a dump of the configuration, or end the proxy. */
function adminPaths({ host }: Address): object {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."))
    ? {}
    : { allow_paths: [{ exact: "/ready" }, { prefix: "/stats" }, { exact: "/server_info" }] };
}

function transport(options: BootstrapOptions): object {
  const { ca, cert, key } = options;
  if (ca === undefined) return {};
  const certificates =
    cert && key
      ? {
          tls_certificates: [
            { certificate_chain: { filename: cert }, private_key: { filename: key } },
          ],
        }
      : {};
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        common_tls_context: {
          ...certificates,
          alpn_protocols: ["h2"],
          validation_context: {
            trusted_ca: { filename: ca },
            match_typed_subject_alt_names: replicasOf(options).map(({ host }) => ({
              san_type: isIP(host) ? "IP_ADDRESS" : "DNS",
              matcher: { exact: host },
            })),
          },
        },
      },
    },
  };
}

function replicasOf({ xds }: BootstrapOptions): readonly Address[] {
  return "host" in xds ? [xds] : xds;
}
