import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { LbEndpointSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { InferenceRoute, Variant } from "../../gen/weir/v1/route_pb.ts";
import { endpointAddress, routeName } from "../../route/index.ts";
import { socketAddress } from "./common.ts";
import { clusterName, isFollowed, reserveName } from "./failover.ts";
import type { RegisteredPod, RegisteredPods } from "./options.ts";
import { told } from "./told.ts";

/** One healthy pod of as many as a document may list is enough, so that no user leaves it needlessly. */
const anyPodIsEnough = 100 * 1024;

/** A variant and its route. */
export interface Pair {
  route: InferenceRoute;
  variant: Variant;
}

/** The pods of a cluster of a variant. */
export interface PodsOf extends Pair {
  endpoints: ClusterLoadAssignment;
  /** Whether it is known which pods registered themselves for it. */
  isKnown: boolean;
}

/** The endpoints of the clusters of some variants: each one's own, and those in reserve. */
export function podsOf(pairs: readonly Pair[], registered: RegisteredPods = () => []): PodsOf[] {
  return pairs.flatMap(({ route, variant }) => {
    const { endpoints, fallbackEndpoints, name, register } = variant;
    const pods = register ? registered(routeName(route), name) : [];
    const own = [...listed(endpoints), ...(pods ?? [])];
    const of = (cluster: string, all: readonly RegisteredPod[], isKnown: boolean) => ({
      route,
      variant,
      endpoints: podsEndpoints(route, variant, cluster, all),
      isKnown,
    });
    return [
      of(clusterName(route, name), own, pods !== undefined),
      ...(fallbackEndpoints.length > 0
        ? [of(reserveName(route, name), listed(fallbackEndpoints), true)]
        : []),
    ];
  });
}

function listed(addresses: readonly string[]): RegisteredPod[] {
  return addresses.map((address) => ({ address, capacity: 1 }));
}

function podsEndpoints(
  route: InferenceRoute,
  variant: Variant,
  cluster: string,
  pods: readonly RegisteredPod[],
): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName: cluster,
    endpoints: [{ lbEndpoints: pods.map((pod) => lbEndpoint(pod, variant.name)) }],
    ...(isFollowed(route, cluster) ? { policy: { overprovisioningFactor: anyPodIsEnough } } : {}),
  });
}

function lbEndpoint(
  { address, capacity }: RegisteredPod,
  variant: string,
): MessageInitShape<typeof LbEndpointSchema> {
  return {
    hostIdentifier: {
      case: "endpoint",
      value: { address: socketAddress(endpointAddress(address)) },
    },
    metadata: told({ variant }),
    ...(capacity === 1 ? {} : { loadBalancingWeight: capacity }),
  };
}
