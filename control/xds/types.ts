/** One xDS resource type. */
export interface ResourceType {
  /** Short name, for people. */
  name: "CDS" | "EDS" | "LDS" | "RDS" | "ECDS";
  url: string;
  /** An empty first subscription means all resources (xds_protocol.rst, "how the client specifies what resources to return"). */
  wildcard: boolean;
}

const prefix = "type.googleapis.com/";

/**
 * The types in the order in which they must be sent so that nothing is named
 * before it exists: a route names clusters, a listener names routes and
 * extensions. The filters' configuration comes last because it chooses among
 * variants that the routes must know by then.
 */
export const resourceTypes: readonly ResourceType[] = [
  { name: "CDS", url: `${prefix}envoy.config.cluster.v3.Cluster`, wildcard: true },
  { name: "EDS", url: `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`, wildcard: false },
  { name: "LDS", url: `${prefix}envoy.config.listener.v3.Listener`, wildcard: true },
  { name: "RDS", url: `${prefix}envoy.config.route.v3.RouteConfiguration`, wildcard: false },
  { name: "ECDS", url: `${prefix}envoy.config.core.v3.TypedExtensionConfig`, wildcard: false },
];

export type TypeName = ResourceType["name"];

/** The type of a URL; undefined for one that Weir has nothing of. */
export function typeOfUrl(url: string): ResourceType | undefined {
  return resourceTypes.find((type) => type.url === url);
}
