import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  Cluster_LbPolicy,
  ClusterSchema,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterConfigSchema } from "../../gen/envoy/extensions/clusters/aggregate/v3/cluster_pb.ts";
import type { InferenceRoute, RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";
import { failsOver, routeName } from "../../route/index.ts";
import { milliseconds, pack, seconds } from "./common.ts";
import { thresholds } from "./limits.ts";
import { told } from "./told.ts";

/** Name of the cluster of a variant's own pods. */
export function clusterName(route: InferenceRoute, variant: string): string {
  return `${routeName(route)}/${variant}`;
}

/** Name of the cluster of a variant's fallbackEndpoints. */
export function reserveName(route: InferenceRoute, variant: string): string {
  return `${clusterName(route, variant)}/reserve`;
}

/** Clusters that answer for a variant, in order: each one where none of those before it can be reached. */
export function chainOf(route: InferenceRoute, variant: Variant): string[] {
  const others = route.spec?.variants ?? [];
  const named = variant.fallback.flatMap((name) => others.find((each) => each.name === name) ?? []);
  return [variant, ...named].flatMap(({ fallbackEndpoints, name }) => [
    clusterName(route, name),
    ...(fallbackEndpoints.length > 0 ? [reserveName(route, name)] : []),
  ]);
}

/** Whether another cluster takes over from this one, for any variant of the route. */
export function isFollowed(route: InferenceRoute, cluster: string): boolean {
  return (route.spec?.variants ?? []).some((variant) =>
    chainOf(route, variant).slice(0, -1).includes(cluster),
  );
}

/** The cluster that a variant's requests go to. */
export function targetName(route: InferenceRoute, variant: Variant): string {
  const own = clusterName(route, variant.name);
  return failsOver(variant) ? `${own}/or-fallback` : own;
}

/**
 * The cluster of a variant and what takes over from it. Envoy asks it for the limits of retries, and
 * the clusters in it for all other limits.
 */
export function failoverCluster(route: InferenceRoute, variant: Variant): Cluster {
  const typedConfig = pack(ClusterConfigSchema, { clusters: chainOf(route, variant) });
  return create(ClusterSchema, {
    name: targetName(route, variant),
    metadata: told({ route: routeName(route) }),
    clusterDiscoveryType: {
      case: "clusterType",
      value: { name: "envoy.clusters.aggregate", typedConfig },
    },
    connectTimeout: connectTimeoutOf(route.spec as RouteSpec, true),
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    // By itself Envoy would ask ejected pods again where half of all are out.
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    circuitBreakers: { thresholds: [thresholds(route.spec?.resilience)] },
  });
}

/**
 * Where others take over, a request whose packets are dropped waits no longer than this for a
 * connection, and never so long that the time for its answer is over.
 */
export function connectTimeoutOf({ resilience }: RouteSpec, followed: boolean) {
  const asked = resilience?.connections?.connectTimeout;
  if (asked) return asked;
  if (!followed) return seconds(5);
  const { firstByteTimeout, retries, timeout } = resilience ?? {};
  const halves = [firstByteTimeout, retries?.perTryTimeout, timeout].flatMap((limit) =>
    limit ? (Number(limit.seconds) * 1000 + limit.nanos / 1e6) / 2 : [],
  );
  return milliseconds(Math.max(1, Math.floor(Math.min(1000, ...halves))));
}

/** Reads the variant of the pod that answered, in a header of the answer; see ./told. */
export const answeringVariant = "%UPSTREAM_METADATA(weir:variant)%";
