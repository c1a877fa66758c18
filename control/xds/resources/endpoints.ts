import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MetadataSchema } from "../../gen/envoy/config/core/v3/base_pb.ts";
import type { LbEndpointSchema } from "../../gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { InferenceRoute, Variant } from "../../gen/weir/v1/route_pb.ts";
import { socketAddress } from "./common.ts";
import { clusterName, isFollowed, reserveName, variantMetadata } from "./failover.ts";

/** One healthy pod of as many as a document may list is enough, so that no user leaves it needlessly. */
const anyPodIsEnough = 100 * 1024;

/** The clusters of a variant's pods by name, with the endpoints of each. */
export function podsOf(route: InferenceRoute, variant: Variant): [string, string[]][] {
  const { endpoints, fallbackEndpoints, name } = variant;
  const own: [string, string[]] = [clusterName(route, name), endpoints];
  return fallbackEndpoints.length > 0
    ? [own, [reserveName(route, name), fallbackEndpoints]]
    : [own];
}

/** The endpoints of a cluster of a variant's pods. */
export function podsEndpoints(
  route: InferenceRoute,
  variant: Variant,
  cluster: string,
  endpoints: readonly string[],
): ClusterLoadAssignment {
  // Only where others may answer does an answer have to say whose it is.
  const shared = route.spec?.variants.some(({ fallback }) => fallback.length > 0);
  const { key, namespace } = variantMetadata;
  const metadata = { filterMetadata: { [namespace]: { [key]: variant.name } } };
  return create(ClusterLoadAssignmentSchema, {
    clusterName: cluster,
    endpoints: [
      {
        lbEndpoints: endpoints.map((endpoint) =>
          lbEndpoint(endpoint, shared ? metadata : undefined),
        ),
      },
    ],
    ...(isFollowed(route, cluster) ? { policy: { overprovisioningFactor: anyPodIsEnough } } : {}),
  });
}

function lbEndpoint(
  endpoint: string,
  metadata: MessageInitShape<typeof MetadataSchema> | undefined,
): MessageInitShape<typeof LbEndpointSchema> {
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  const address = socketAddress({ host, port: Number(endpoint.slice(colon + 1)) });
  return {
    hostIdentifier: { case: "endpoint", value: { address } },
    ...(metadata ? { metadata } : {}),
  };
}
