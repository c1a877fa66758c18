import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { UpstreamCodecSchema } from "../../gen/envoy/extensions/filters/http/upstream_codec/v3/upstream_codec_pb.ts";
import type { InferenceRoute, Resilience, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import {
  connectionsOf,
  type FilterFailure,
  filterFailureOf,
  maxCopies,
  mirrors,
  routeName,
} from "../../route/index.ts";
import { adsSource, pack, seconds, socketAddress } from "./common.ts";
import { wasmFilter } from "./extension.ts";
import { httpOptions, outlierDetection, thresholds } from "./limits.ts";
import { copyFilterName, type FilterCode, type RegisteredPod } from "./options.ts";
import { transportSocket } from "./transport-socket.ts";

/** Name of a variant's cluster. */
export function clusterName(route: InferenceRoute, variant: string): string {
  return `${routeName(route)}/${variant}`;
}

/**
 * One cluster per variant; its endpoints come over EDS, so that they may change without it.
 * @param copies what looks at the copies that the shadow variant gets
 */
export function variantCluster(
  route: InferenceRoute,
  variant: Variant,
  copies?: FilterCode,
): Cluster {
  const resilience = route.spec?.resilience;
  const inFlight = copiesInFlight(route, variant);
  const connections = connectionsOf(route.spec as RouteSpec);
  const outlier = resilience?.outlier;
  const { interval, probes, time } = connections.keepalive ?? {};
  const socket = transportSocket(route.spec?.tls, connections.http2);
  return create(ClusterSchema, {
    name: clusterName(route, variant.name),
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: adsSource() },
    // A pod that drains takes no requests, whatever a health check says of it.
    ...(variant.register ? { ignoreHealthOnHostRemoval: true } : {}),
    connectTimeout: connections.connectTimeout ?? seconds(5),
    ...balance(resilience),
    circuitBreakers: { thresholds: [thresholds(resilience, inFlight)] },
    ...(outlier
      ? {
          outlierDetection: outlierDetection(outlier),
          // Envoy's own default asks ejected pods again once half of them are out.
          commonLbConfig: { healthyPanicThreshold: { value: outlier.minHealthPercent ?? 0 } },
        }
      : {}),
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
 * The endpoints of a variant; those that only take over when these are down have the next priority.
 * @param registered pods that registered themselves
 */
export function variantEndpoints(
  route: InferenceRoute,
  variant: Variant,
  registered: readonly RegisteredPod[],
): ClusterLoadAssignment {
  const listed = (all: readonly string[]) => all.map((address) => ({ address, capacity: 1 }));
  const groups = [[...listed(variant.endpoints), ...registered], listed(variant.fallbackEndpoints)];
  return create(ClusterLoadAssignmentSchema, {
    clusterName: clusterName(route, variant.name),
    endpoints: groups
      .filter((group, priority) => priority === 0 || group.length > 0)
      .map((group, priority) => ({ priority, lbEndpoints: group.map(lbEndpoint) })),
  });
}

function lbEndpoint({ address: endpoint, capacity }: RegisteredPod) {
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  const address = socketAddress({ host, port: Number(endpoint.slice(colon + 1)) });
  return {
    hostIdentifier: { case: "endpoint" as const, value: { address } },
    ...(capacity === 1 ? {} : { loadBalancingWeight: capacity }),
  };
}

/**
 * Copies leave the gateway's filters behind, but not those of the cluster that they
 * go to. The VM is their own, so that real requests do not have to tell them apart.
 */
function behindCopies(code: FilterCode, failure: FilterFailure) {
  const { typedConfig } = wasmFilter(copyFilterName, code, failure, copyFilterName);
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
