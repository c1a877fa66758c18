import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ClusterSchema } from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { CodecClientType } from "../../gen/envoy/type/v3/http_pb.ts";
import type { Resilience, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { connectionsOf } from "../../route/index.ts";
import { seconds } from "./common.ts";

/** Envoy's active health check of a variant's pods, and what of the cluster depends on it. */
export function healthChecks(spec: RouteSpec) {
  const healthCheck = spec.resilience?.healthCheck;
  if (healthCheck === undefined) return {};
  const { expectedStatuses, path } = healthCheck;
  const interval = healthCheck.interval ?? seconds(5);
  return {
    healthChecks: [
      {
        interval,
        // Envoy's own default looks once a minute while a variant gets no traffic: a pod that has
        // loaded its model would wait for that long.
        noTrafficInterval: interval,
        timeout: healthCheck.timeout ?? seconds(5),
        unhealthyThreshold: healthCheck.unhealthyThreshold ?? 3,
        healthyThreshold: healthCheck.healthyThreshold ?? 1,
        // Servers close idle connections, uvicorn after 5 s: a check that meets this would have failed.
        reuseConnection: false,
        healthChecker: {
          case: "httpHealthCheck",
          value: {
            path,
            host: askedHost(spec.hosts),
            expectedStatuses: expectedStatuses.map((status) => ({
              start: BigInt(status),
              end: BigInt(status + 1),
            })),
            ...(connectionsOf(spec).http2 ? { codecClientType: CodecClientType.HTTP2 } : {}),
          },
        },
      },
    ],
    // Otherwise Envoy keeps a pod that is no longer listed for as long as it answers checks.
    ignoreHealthOnHostRemoval: true,
  } satisfies MessageInitShape<typeof ClusterSchema>;
}

/** A pod may answer /health and fail at completions: a good check does not end its ejection. */
export function besideHealthCheck(resilience: Resilience | undefined) {
  return resilience?.healthCheck ? { successfulActiveHealthCheckUnejectHost: false } : {};
}

/** The host that a request of a client has, so that what chooses by hosts leads the check to the same pod. */
function askedHost(hosts: readonly string[]): string {
  return hosts.find((host) => !host.includes("*")) ?? "localhost";
}
