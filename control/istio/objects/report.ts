import type { JsonObject } from "@bufbuild/protobuf";
import type { ReportTarget } from "../../route/index.ts";
import { type AttachPoint, targetRefJson } from "../attach.ts";
import { defined, type Manifest, metadataFor } from "../manifest.ts";

/** The control service as the mesh's proxies reach it. */
export interface ReportTo {
  /** "host:port", a name that the proxies' DNS knows. */
  address: string;
  /** What proves the reports of proxies that have routes of these namespaces. */
  tokenFor?: ((namespaces: readonly string[]) => string) | undefined;
  /** SHA-256 of the certificate it shows, in hex; absent: clear text. */
  certificateSha256?: string | undefined;
}

const types = "type.googleapis.com/envoy.extensions";
const intervalMs = 1000;

/** Where the filters of an attach point report to; nowhere at a waypoint, which takes no EnvoyFilter. */
export function reportTarget(
  point: AttachPoint,
  to: ReportTo | undefined,
): ReportTarget | undefined {
  if (to === undefined || point.side === "waypoint") return undefined;
  return { cluster: clusterName(point), authority: to.address, intervalMs };
}

/**
 * The way there, as a cluster of the attach point's own: whatever else the
 * proxies know of the mesh, and however many routes are rendered one by one.
 * What proves a report is added by the cluster, so that no filter holds it.
 */
export function reportCluster(point: AttachPoint, to: ReportTo | undefined): Manifest | undefined {
  if (reportTarget(point, to) === undefined || to === undefined) return undefined;
  const namespaces = [...new Set(point.routes.map((name) => name.split("/", 1)[0] ?? ""))].sort();
  const byReference = point.targetRefs.length > 0;
  const patch = {
    applyTo: "CLUSTER",
    match: { context: point.side === "gateway" ? "GATEWAY" : "SIDECAR_OUTBOUND" },
    patch: {
      operation: "ADD",
      value: cluster(clusterName(point), to, to.tokenFor?.(namespaces)),
    },
  };
  return {
    object: {
      apiVersion: "networking.istio.io/v1alpha3",
      kind: "EnvoyFilter",
      metadata: metadataFor(`${point.name}-report`, point.namespace, point.routes),
      spec: defined({
        workloadSelector: byReference ? undefined : { labels: point.selector },
        targetRefs: byReference ? point.targetRefs.map(targetRefJson) : undefined,
        priority: 10,
        configPatches: [patch],
      }),
    },
    origins: [
      { path: [], text: `EnvoyFilter of ${point.routes.join(", ")}: where the filters report to` },
    ],
  };
}

/** What is wrong with an address. */
export function checkReportTo({ address }: ReportTo): string | undefined {
  const port = Number(/^(?:[a-z0-9.-]+|\[[0-9a-f:]+\]):(\d{1,5})$/.exec(address)?.[1]);
  if (port >= 1 && port <= 65_535) return undefined;
  return `address of the control service "${address}" must be HOST:PORT that the proxies can resolve`;
}

function clusterName(point: AttachPoint): string {
  return `weir-report.${point.name}`;
}

function cluster(name: string, to: ReportTo, token: string | undefined): JsonObject {
  const colon = to.address.lastIndexOf(":");
  const address = to.address.slice(0, colon).replace(/^\[|\]$/g, "");
  const port = Number(to.address.slice(colon + 1));
  const endpoint = { address: { socket_address: { address, port_value: port } } };
  return defined({
    name,
    type: "STRICT_DNS",
    connect_timeout: "1s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint }] }] },
    transport_socket: to.certificateSha256 === undefined ? undefined : pinned(to.certificateSha256),
    typed_extension_protocol_options:
      token === undefined
        ? undefined
        : { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": authorized(token) },
  });
}

/** The very certificate that the service has, which this document got from it. */
function pinned(certificateSha256: string): JsonObject {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      common_tls_context: { validation_context: { verify_certificate_hash: [certificateSha256] } },
    },
  };
}

function authorized(token: string): JsonObject {
  return {
    "@type": `${types}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http_protocol_options: {} },
    http_filters: [
      {
        name: "authorization",
        typed_config: {
          "@type": `${types}.filters.http.header_mutation.v3.HeaderMutation`,
          mutations: {
            request_mutations: [
              {
                append: {
                  header: { key: "authorization", value: `Bearer ${token}` },
                  append_action: "OVERWRITE_IF_EXISTS_OR_ADD",
                },
              },
            ],
          },
        },
      },
      {
        name: "envoy.filters.http.upstream_codec",
        typed_config: { "@type": `${types}.filters.http.upstream_codec.v3.UpstreamCodec` },
      },
    ],
  };
}
