import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { CircuitBreakers_ThresholdsSchema } from "../../gen/envoy/config/cluster/v3/circuit_breaker_pb.ts";
import type { OutlierDetectionSchema } from "../../gen/envoy/config/cluster/v3/outlier_detection_pb.ts";
import { RoutingPriority } from "../../gen/envoy/config/core/v3/base_pb.ts";
import type { HealthCheckSchema } from "../../gen/envoy/config/core/v3/health_check_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { HttpProtocolOptionsSchema } from "../../gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts";
import type { Connections, Outlier, Resilience } from "../../gen/weir/v1/route_pb.ts";
import { pack, seconds } from "./common.ts";

/** Protocol and life of the connections to the pods, and filters before them; none is Envoy's own codec alone. */
export function httpOptions(
  connections: Connections | undefined,
  httpFilters: MessageInitShape<typeof HttpFilterSchema>[] = [],
) {
  const idleTimeout = connections?.idleTimeout;
  const maxConnectionDuration = connections?.maxConnectionDuration;
  const maxRequests = connections?.maxRequestsPerConnection;
  const maxStreams = connections?.maxStreams;
  const http2 = maxStreams === undefined ? {} : { maxConcurrentStreams: maxStreams };
  return pack(HttpProtocolOptionsSchema, {
    httpFilters,
    upstreamProtocolOptions: {
      case: "explicitHttpConfig",
      value: {
        protocolConfig: connections?.http2
          ? { case: "http2ProtocolOptions", value: http2 }
          : { case: "httpProtocolOptions", value: {} },
      },
    },
    commonHttpProtocolOptions: {
      ...(idleTimeout ? { idleTimeout } : {}),
      ...(maxConnectionDuration ? { maxConnectionDuration } : {}),
      ...(maxRequests === undefined ? {} : { maxRequestsPerConnection: maxRequests }),
    },
  });
}

/** Envoy's default of 1,024 would be a limit that no one asked for; Istio has none either. */
const unlimited = 0xffffffff;

/**
 * Circuit breakers of a cluster.
 * @param copies of requests that it may have in flight, where it gets copies
 */
export function thresholds(
  resilience: Resilience | undefined,
  copies?: number,
): MessageInitShape<typeof CircuitBreakers_ThresholdsSchema> {
  const connections = resilience?.connections;
  const budget = resilience?.retries?.budget;
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
    maxRetries: connections?.maxRetries ?? unlimited,
    ...(budget
      ? {
          retryBudget: {
            budgetPercent: { value: budget.percent ?? 20 },
            minRetryConcurrency: budget.minConcurrency ?? 3,
          },
        }
      : {}),
  };
}

/**
 * Failures in a row after which a pod is ejected where others take over: answers 502, 503 and 504, and
 * what Envoy counts as such, connections that fail or are reset and requests that time out. Counted
 * apart, these would begin anew with each connection that a pod takes before it hangs.
 */
const failuresInRow = 3;

/**
 * Passive health checking, by counts in a row alone.
 * @param outlier what a route asks for; absent where pods are ejected only because others take over
 * @param followed whether others take over: then it ends no request that all pods are ejected
 */
export function outlierDetection(
  outlier: Outlier | undefined,
  followed: boolean,
): MessageInitShape<typeof OutlierDetectionSchema> {
  const gateway = outlier?.consecutiveGatewayErrors ?? (followed ? failuresInRow : undefined);
  const local = outlier?.consecutiveLocalFailures;
  return {
    ...(outlier ? timesOf(outlier) : soonBack),
    maxEjectionPercent: outlier?.maxEjectionPercent ?? (followed ? 100 : 30),
    // Counted but not enforced is Envoy's default.
    ...(gateway === undefined
      ? {}
      : { consecutiveGatewayFailure: gateway, enforcingConsecutiveGatewayFailure: 100 }),
    ...(local === undefined
      ? {}
      : { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: local }),
    ...(followed ? { successfulActiveHealthCheckUnejectHost: false } : {}),
    // Statistical ejection needs more pods than most variants have.
    enforcingSuccessRate: 0,
    ...(local === undefined ? {} : { enforcingLocalOriginSuccessRate: 0 }),
  };
}

function timesOf(outlier: Outlier) {
  return {
    consecutive5xx: outlier.consecutiveErrors ?? 5,
    interval: outlier.interval ?? seconds(10),
    baseEjectionTime: outlier.baseEjectionTime ?? seconds(30),
  };
}

/** Users are back on their variant within half a minute; a pod's own errors (500) eject none. */
const soonBack = {
  enforcingConsecutive5xx: 0,
  interval: seconds(1),
  // Longer than the probes need to find that the pod is down.
  baseEjectionTime: seconds(10),
  maxEjectionTime: seconds(30),
};

/**
 * Connects to a pod and no more, so that no request has to find out whether one that was down still
 * is. A pod that can be connected to, and does not answer, stays ejected all the same.
 */
export function probe(timeout: Duration): MessageInitShape<typeof HealthCheckSchema> {
  return {
    timeout,
    interval: seconds(2),
    // By itself a minute.
    noTrafficInterval: seconds(2),
    unhealthyThreshold: 2,
    healthyThreshold: 1,
    healthChecker: { case: "tcpHealthCheck", value: {} },
  };
}
