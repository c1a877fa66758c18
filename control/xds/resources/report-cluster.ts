import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { CredentialInjectorSchema } from "../../gen/envoy/extensions/filters/http/credential_injector/v3/credential_injector_pb.ts";
import { UpstreamCodecSchema } from "../../gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.ts";
import { GenericSchema } from "../../gen/envoy/extensions/http/injected_credentials/generic/v3/generic_pb.ts";
import { UpstreamTlsContextSchema } from "../../gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import { httpOptionsKey } from "./cluster.ts";
import { adsSource, pack, seconds, socketAddress } from "./common.ts";
import { type ResourceOptions, reportClusterName, reportSecretName } from "./options.ts";

/**
 * Where the filters report to. What proves a report is added by the cluster out of a
 * secret: no configuration holds it, no dump shows it, and another one is no change of the cluster.
 */
export function reportCluster({
  report,
  reportAccess: { proven, certificateSha256 } = {},
}: Pick<ResourceOptions, "report" | "reportAccess">): Cluster {
  return create(ClusterSchema, {
    name: reportClusterName,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: seconds(1),
    ...(certificateSha256 ? { transportSocket: pinned(certificateSha256) } : {}),
    ...(proven ? { typedExtensionProtocolOptions: { [httpOptionsKey]: authorized() } } : {}),
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

function authorized() {
  const credential = pack(GenericSchema, {
    credential: { name: reportSecretName, sdsConfig: adsSource(seconds(5)) },
  });
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
          value: pack(CredentialInjectorSchema, {
            overwrite: true,
            credential: {
              name: "envoy.http.injected_credentials.generic",
              typedConfig: credential,
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
