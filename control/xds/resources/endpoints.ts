import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { LbEndpointSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { InferenceRoute, Variant } from "../../gen/weir/v1/route_pb.ts";
import { endpointAddress } from "../../route/index.ts";
import { socketAddress } from "./common.ts";
import { clusterName, isFollowed, reserveName } from "./failover.ts";
import { told } from "./told.ts";

/** One healthy pod of as many as a document may list is enough, so that no user leaves it needlessly. */
const anyPodIsEnough = 100 * 1024;

/** The endpoints of each cluster of a variant's pods: its own, and those in reserve. */
export function podsOf(route: InferenceRoute, variant: Variant): ClusterLoadAssignment[] {
  const { endpoints, fallbackEndpoints, name } = variant;
  const own = podsEndpoints(route, variant, clusterName(route, name), endpoints);
  return fallbackEndpoints.length > 0
    ? [own, podsEndpoints(route, variant, reserveName(route, name), fallbackEndpoints)]
    : [own];
}

function podsEndpoints(
  route: InferenceRoute,
  variant: Variant,
  cluster: string,
  endpoints: readonly string[],
): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName: cluster,
    endpoints: [{ lbEndpoints: endpoints.map((endpoint) => lbEndpoint(endpoint, variant.name)) }],
    ...(isFollowed(route, cluster) ? { policy: { overprovisioningFactor: anyPodIsEnough } } : {}),
  });
}

function lbEndpoint(endpoint: string, variant: string): MessageInitShape<typeof LbEndpointSchema> {
  const address = socketAddress(endpointAddress(endpoint));
  return { hostIdentifier: { case: "endpoint", value: { address } }, metadata: told({ variant }) };
}
