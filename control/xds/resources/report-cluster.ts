import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { HeaderValueOption_HeaderAppendAction } from "../../gen/envoy/config/core/v3/base_pb.ts";
import { HeaderMutationSchema } from "../../gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts";
import { UpstreamCodecSchema } from "../../gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.ts";
import { UpstreamTlsContextSchema } from "../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { httpOptionsKey } from "./cluster.ts";
import { pack, seconds, socketAddress } from "./common.ts";
import { type ResourceOptions, reportClusterName } from "./options.ts";

/**
 * Where the filters report to. What proves a report is added by the cluster,
 * so that no filter's configuration holds it.
 */
export function reportCluster({
  report,
  reportAccess: { token, certificateSha256 } = {},
}: Pick<ResourceOptions, "report" | "reportAccess">): Cluster {
  return create(ClusterSchema, {
    name: reportClusterName,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: seconds(1),
    ...(certificateSha256 ? { transportSocket: pinned(certificateSha256) } : {}),
    ...(token ? { typedExtensionProtocolOptions: { [httpOptionsKey]: authorized(token) } } : {}),
    loadAssignment: {
      clusterName: reportClusterName,
      endpoints: [
        {
          lbEndpoints: [
            { hostIdentifier: { case: "endpoint", value: { address: socketAddress(report) } } },
          ],
        },
      ],
    },
  });
}

/** The very certificate this service has: it says so itself, over a stream that is proven already. */
function pinned(certificateSha256: string) {
  return {
    name: "envoy.transport_sockets.tls",
    configType: {
      case: "typedConfig" as const,
      value: pack(UpstreamTlsContextSchema, {
        commonTlsContext: {
          validationContextType: {
            case: "validationContext",
            value: { verifyCertificateHash: [certificateSha256] },
          },
        },
      }),
    },
  };
}

function authorized(token: string) {
  return pack(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: { protocolConfig: { case: "httpProtocolOptions", value: {} } },
    },
    httpFilters: [
      {
        name: "authorization",
        configType: {
          case: "typedConfig",
          value: pack(HeaderMutationSchema, {
            mutations: {
              requestMutations: [
                {
                  action: {
                    case: "append",
                    value: {
                      header: { key: "authorization", value: `Bearer ${token}` },
                      appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
                    },
                  },
                },
              ],
            },
          }),
        },
      },
      {
        name: "envoy.filters.http.upstream_codec",
        configType: { case: "typedConfig", value: pack(UpstreamCodecSchema, {}) },
      },
    ],
  });
}
