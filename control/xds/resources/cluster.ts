import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterLoadAssignment } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { UpstreamCodecSchema } from "../../gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.ts";
import type { InferenceRoute, Resilience, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import {
  connectionsOf,
  type FilterFailure,
  failsOver,
  filterFailureOf,
  maxCopies,
  mirrors,
  routeName,
} from "../../route/index.ts";
import { pack, seconds } from "./common.ts";
import { discovery } from "./discovery.ts";
import { wasmFilter } from "./extension.ts";
import { connectTimeoutOf, isFollowed } from "./failover.ts";
import { besideHealthCheck, healthChecks } from "./health-check.ts";
import { httpOptions, outlierDetection, probe, thresholds } from "./limits.ts";
import { copyFilterName, type FilterCode } from "./options.ts";
import { told } from "./told.ts";
import { transportSocket } from "./transport-socket.ts";

/**
 * A cluster of a variant's pods, named as its endpoints.
 * @param copies what looks at the copies that the shadow variant gets
 */
export function podsCluster(
  route: InferenceRoute,
  variant: Variant,
  endpoints: ClusterLoadAssignment,
  copies?: FilterCode,
): Cluster {
  const resilience = route.spec?.resilience;
  const inFlight = copiesInFlight(route, variant);
  const connections = connectionsOf(route.spec as RouteSpec);
  const outlier = resilience?.outlier;
  const name = endpoints.clusterName;
  const followed = isFollowed(route, name);
  const connectTimeout = connectTimeoutOf(route.spec as RouteSpec, followed);
  const { interval, probes, time } = connections.keepalive ?? {};
  const socket = transportSocket(route.spec?.tls, connections.http2);
  return create(ClusterSchema, {
    name,
    metadata: told({ route: routeName(route) }),
    ...discovery(endpoints),
    // A pod that drains takes no requests, whatever a health check says of it.
    ...(variant.register || followed ? { ignoreHealthOnHostRemoval: true } : {}),
    connectTimeout,
    ...balance(resilience),
    circuitBreakers: { thresholds: [thresholds(resilience, inFlight)] },
    ...(outlier || followed
      ? {
          outlierDetection: {
            ...outlierDetection(outlier, followed),
            ...besideHealthCheck(resilience),
          },
        }
      : {}),
    ...(outlier || followed || resilience?.healthCheck
      ? { commonLbConfig: { healthyPanicThreshold: { value: panicPercent(route, variant) } } }
      : {}),
    ...(followed ? { healthChecks: [probe(connectTimeout)] } : {}),
    // Who asks for checks gets these alone.
    ...healthChecks(route.spec as RouteSpec),
    ...(connections.keepalive
      ? {
          upstreamConnectionOptions: {
            tcpKeepalive: {
              ...(probes === undefined ? {} : { keepaliveProbes: probes }),
              ...(time ? { keepaliveTime: wholeSeconds(time) } : {}),
              ...(interval ? { keepaliveInterval: wholeSeconds(interval) } : {}),
            },
          },
        }
      : {}),
    ...(socket ? { transportSocket: socket } : {}),
    typedExtensionProtocolOptions: {
      [httpOptionsKey]: httpOptions(
        connections,
        inFlight === undefined || copies === undefined
          ? []
          : behindCopies(copies, filterFailureOf([route])),
      ),
    },
  });
}

/**
 * Share of healthy pods below which ejected ones are asked again; Envoy's own default is half of
 * them. A variant whose pods are ejected for the sake of others alone is asked where none is left.
 */
function panicPercent({ spec }: InferenceRoute, variant: Variant): number {
  const { healthCheck, outlier } = spec?.resilience ?? {};
  return outlier?.minHealthPercent ?? (outlier || healthCheck || failsOver(variant) ? 0 : 1);
}

/** The kernel counts in seconds; less than one would switch probes off. */
function wholeSeconds({ seconds, nanos }: { seconds: bigint; nanos: number }): number {
  return Math.max(1, Math.round(Number(seconds) + nanos / 1e9));
}

type ClusterInit = MessageInitShape<typeof ClusterSchema>;

/**
 * Answers differ in length by orders of magnitude: unless told otherwise, the
 * pod with the fewest in flight is the best guess.
 */
function balance(
  resilience: Resilience | undefined,
): Required<Pick<ClusterInit, "lbPolicy">> & Pick<ClusterInit, "lbConfig"> {
  const { hash, policy } = resilience?.balance ?? {};
  const slowStartConfig = slowStart(resilience);
  if (hash?.maglevTableSize !== undefined) {
    const value = { tableSize: BigInt(hash.maglevTableSize) };
    return { lbPolicy: Cluster_LbPolicy.MAGLEV, lbConfig: { case: "maglevLbConfig", value } };
  }
  if (hash) {
    const value = { minimumRingSize: BigInt(hash.ringSize ?? 1024) };
    return { lbPolicy: Cluster_LbPolicy.RING_HASH, lbConfig: { case: "ringHashLbConfig", value } };
  }
  if (policy === "random") return { lbPolicy: Cluster_LbPolicy.RANDOM };
  if (policy === "round-robin")
    return {
      lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
      ...(slowStartConfig
        ? { lbConfig: { case: "roundRobinLbConfig", value: { slowStartConfig } } }
        : {}),
    };
  return {
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    ...(slowStartConfig
      ? { lbConfig: { case: "leastRequestLbConfig", value: { slowStartConfig } } }
      : {}),
  };
}

function slowStart(resilience: Resilience | undefined) {
  const warmup = resilience?.warmup;
  return warmup
    ? {
        slowStartWindow: warmup.duration ?? seconds(30),
        aggression: { defaultValue: warmup.aggression ?? 1, runtimeKey: "" },
        minWeightPercent: { value: warmup.minimumPercent ?? 10 },
      }
    : undefined;
}

/**
 * Copies leave the gateway's filters behind, but not those of the cluster that they
 * go to. The VM is their own, so that real requests do not have to tell them apart.
 */
function behindCopies(code: FilterCode, failure: FilterFailure) {
  const { typedConfig } = wasmFilter(copyFilterName, code, failure, { vmId: copyFilterName });
  return [
    { name: copyFilterName, ...configured(typedConfig) },
    { name: "envoy.filters.http.upstream_codec", ...configured(pack(UpstreamCodecSchema, {})) },
  ];
}

function configured(value: Any | undefined) {
  return value ? { configType: { case: "typedConfig" as const, value } } : {};
}

/** Where a cluster carries its HTTP options. */
export const httpOptionsKey = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** A slow shadow gets no more copies than it can work off; they are dropped, not queued. */
function copiesInFlight({ spec }: InferenceRoute, { name }: Variant): number | undefined {
  const shadow = spec?.shadow;
  return shadow !== undefined && mirrors(shadow) && shadow.variant === name
    ? maxCopies(shadow)
    : undefined;
}
