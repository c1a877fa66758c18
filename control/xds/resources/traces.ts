import { isIP } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { OpenTelemetryConfigSchema } from "../../gen/envoy/config/trace/v3/opentelemetry_pb.ts";
import type { HttpConnectionManager_TracingSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { MetadataKindSchema } from "../../gen/envoy/type/metadata/v3/metadata_pb.ts";
import type { CustomTagSchema } from "../../gen/envoy/type/tracing/v3/custom_tag_pb.ts";
import { httpOptionsKey } from "./cluster.ts";
import { pack, seconds, socketAddress } from "./common.ts";
import type { Traces } from "./options.ts";

/** Cluster of the collector of traces. */
const tracesClusterName = "weir_traces";

/** A collector that does not answer costs no more. */
const exportTimeout = seconds(5);

/** Envoy's OpenTelemetry tracer: one span for each request that is sampled, in W3C's context. */
export function tracing({
  collector,
  percent,
  serviceName,
}: Traces): MessageInitShape<typeof HttpConnectionManager_TracingSchema> {
  const { path, protocol } = collector;
  const to =
    protocol === "grpc"
      ? {
          grpcService: {
            targetSpecifier: {
              case: "envoyGrpc" as const,
              value: { clusterName: tracesClusterName },
            },
            timeout: exportTimeout,
          },
        }
      : {
          httpService: {
            httpUri: {
              uri: `http://${collector.host}:${collector.port}${path}`,
              httpUpstreamType: { case: "cluster" as const, value: tracesClusterName },
              timeout: exportTimeout,
            },
          },
        };
  return {
    // A header of a client must not decide what is traced.
    clientSampling: { value: 0 },
    randomSampling: { value: percent },
    // The path of http.url has the query, where some clients send their key.
    maxPathTagLength: 0,
    customTags: [
      ofMetadata("weir.route", "route", { case: "cluster", value: {} }),
      ofMetadata("weir.variant", "variant", { case: "host", value: {} }),
      ofHeader("weir.tenant", "x-weir-tenant"),
      ofHeader("weir.tier", "x-weir-tier"),
    ],
    provider: {
      name: "envoy.tracers.opentelemetry",
      configType: {
        case: "typedConfig",
        value: pack(OpenTelemetryConfigSchema, { serviceName, ...to }),
      },
    },
  };
}

/** Where the spans are sent; its name is resolved again and again, as the collector may move. */
export function tracesCluster({ collector }: Traces): Cluster {
  return create(ClusterSchema, {
    name: tracesClusterName,
    clusterDiscoveryType: {
      case: "type",
      value: isIP(collector.host) ? DiscoveryType.STATIC : DiscoveryType.STRICT_DNS,
    },
    connectTimeout: seconds(1),
    ...(collector.protocol === "grpc"
      ? { typedExtensionProtocolOptions: { [httpOptionsKey]: http2 } }
      : {}),
    loadAssignment: {
      clusterName: tracesClusterName,
      endpoints: [
        {
          lbEndpoints: [
            { hostIdentifier: { case: "endpoint", value: { address: socketAddress(collector) } } },
          ],
        },
      ],
    },
  });
}

const http2 = pack(HttpProtocolOptionsSchema, {
  upstreamProtocolOptions: {
    case: "explicitHttpConfig",
    value: { protocolConfig: { case: "http2ProtocolOptions", value: {} } },
  },
});

type TagInit = MessageInitShape<typeof CustomTagSchema>;

function ofMetadata(
  tag: string,
  name: string,
  kind: NonNullable<MessageInitShape<typeof MetadataKindSchema>["kind"]>,
): TagInit {
  const metadataKey = { key: "weir", path: [{ segment: { case: "key" as const, value: name } }] };
  return { tag, type: { case: "metadata", value: { kind: { kind }, metadataKey } } };
}

function ofHeader(tag: string, name: string): TagInit {
  return { tag, type: { case: "requestHeader", value: { name } } };
}
