import { isIP } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_DnsLookupFamily as LookupFamily,
} from "../../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterLoadAssignment } from "../../gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { adsSource, seconds } from "./common.ts";

/**
 * How a cluster gets its pods. Addresses come over EDS, so that they may change without the
 * cluster. EDS has no names: a cluster with one has its endpoints in itself, and Envoy resolves
 * them; addresses among them stay what they are.
 */
export function discovery(endpoints: ClusterLoadAssignment) {
  if (!hasNames(endpoints))
    return {
      clusterDiscoveryType: { case: "type", value: DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: adsSource() },
    } satisfies MessageInitShape<typeof ClusterSchema>;
  return {
    clusterDiscoveryType: { case: "type", value: DiscoveryType.STRICT_DNS },
    loadAssignment: endpoints,
    // The default asks for IPv6 first, which many pods have an address of and no route to.
    dnsLookupFamily: LookupFamily.V4_PREFERRED,
    dnsRefreshRate: seconds(5),
  } satisfies MessageInitShape<typeof ClusterSchema>;
}

/** Whether an endpoint has to be resolved. */
export function hasNames({ endpoints }: ClusterLoadAssignment): boolean {
  return endpoints.some(({ lbEndpoints }) =>
    lbEndpoints.some(({ hostIdentifier }) => {
      const address =
        hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      return address?.case === "socketAddress" && isIP(address.value.address) === 0;
    }),
  );
}
