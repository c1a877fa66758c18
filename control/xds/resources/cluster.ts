import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { OutlierDetectionSchema } from "../../gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import { RoutingPriority } from "../../gen/envoy/config/core/v3/base_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type {
  Connections,
  InferenceRoute,
  Resilience,
  Variant,
} from "../../gen/weir/v1/route_pb.ts";
import { mirrors, mostCopies, routeName } from "../../route/index.ts";
import { adsSource, pack, seconds, socketAddress } from "./common.ts";

/** Name of a variant's cluster. */
export function clusterName(route: InferenceRoute, variant: string): string {
  return `${routeName(route)}/${variant}`;
}

/** One cluster per variant; its endpoints come over EDS, so that they may change without it. */
export function variantCluster(route: InferenceRoute, variant: Variant): Cluster {
  const { connections, outlier, warmup } = route.spec?.resilience ?? ({} as Partial<Resilience>);
  const slowStart = warmup?.duration
    ? {
        slowStartWindow: warmup.duration,
        aggression: { defaultValue: warmup.aggression ?? 1, runtimeKey: "" },
        minWeightPercent: { value: warmup.minimumPercent ?? 10 },
      }
    : undefined;
  return create(ClusterSchema, {
    name: clusterName(route, variant.name),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: adsSource() },
    connectTimeout: connections?.connectTimeout ?? seconds(5),
    // Answers differ in length by orders of magnitude: the pod with the fewest in flight is the best guess.
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    ...(slowStart
      ? { lbConfig: { case: "leastRequestLbConfig", value: { slowStartConfig: slowStart } } }
      : {}),
    circuitBreakers: { thresholds: [thresholds(connections, copiesInFlight(route, variant))] },
    ...(outlier ? { outlierDetection: outlierDetection(route) } : {}),
    typedExtensionProtocolOptions: { [httpOptionsKey]: httpOptions(connections) },
  });
}

/** The endpoints of a variant. */
export function variantEndpoints(route: InferenceRoute, variant: Variant): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName: clusterName(route, variant.name),
    endpoints: [
      {
        lbEndpoints: variant.endpoints.map((endpoint) => {
          const colon = endpoint.lastIndexOf(":");
          const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
          const address = socketAddress({ host, port: Number(endpoint.slice(colon + 1)) });
          return { hostIdentifier: { case: "endpoint" as const, value: { address } } };
        }),
      },
    ],
  });
}

export const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

function httpOptions(connections: Connections | undefined) {
  const idleTimeout = connections?.idleTimeout;
  const maxRequests = connections?.maxRequestsPerConnection;
  const protocolConfig = connections?.http2
    ? { case: "http2ProtocolOptions" as const, value: {} }
    : { case: "httpProtocolOptions" as const, value: {} };
  return pack(HttpProtocolOptionsSchema, {
    upstreamProtocolOptions: { case: "explicitHttpConfig", value: { protocolConfig } },
    commonHttpProtocolOptions: {
      ...(idleTimeout ? { idleTimeout } : {}),
      ...(maxRequests === undefined ? {} : { maxRequestsPerConnection: maxRequests }),
    },
  });
}

/** Envoy's default of 1,024 would be a limit that no one asked for; Istio has none either. */
const unlimited = 0xffffffff;

/** A slow shadow gets no more copies than it can work off; they are dropped, not queued. */
function copiesInFlight(route: InferenceRoute, variant: Variant): number | undefined {
  const shadow = route.spec?.shadow;
  return shadow !== undefined && mirrors(shadow) && shadow.variant === variant.name
    ? mostCopies(shadow)
    : undefined;
}

function thresholds(connections: Connections | undefined, copies: number | undefined) {
  if (copies !== undefined)
    return {
      priority: RoutingPriority.DEFAULT,
      maxConnections: connections?.maxConnections ?? copies,
      maxPendingRequests: copies,
      maxRequests: copies,
      maxRetries: 0,
    };
  return {
    priority: RoutingPriority.DEFAULT,
    maxConnections: connections?.maxConnections ?? unlimited,
    maxPendingRequests: connections?.maxPendingRequests ?? unlimited,
    maxRequests: connections?.maxRequests ?? unlimited,
    maxRetries: unlimited,
  };
}

function outlierDetection(route: InferenceRoute): MessageInitShape<typeof OutlierDetectionSchema> {
  const outlier = route.spec?.resilience?.outlier;
  return {
    consecutive5xx: outlier?.consecutiveErrors ?? 5,
    interval: outlier?.interval ?? seconds(10),
    baseEjectionTime: outlier?.baseEjectionTime ?? seconds(30),
    maxEjectionPercent: outlier?.maxEjectionPercent ?? 30,
    // Statistical ejection needs more pods than most variants have.
    enforcingSuccessRate: 0,
  };
}
