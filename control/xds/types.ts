/** What a stream subscribes to. */
export interface StreamType {
  /** Short name, for people; absent for a type that Weir has nothing of. */
  name?: TypeName;
  url: string;
  /** "*" and an empty first subscription mean all resources (xds_protocol.rst, "How the client specifies what resources to return"). */
  wildcard: boolean;
}

/** One xDS resource type that Weir serves. */
export interface ResourceType extends StreamType {
  name: "CDS" | "EDS" | "LDS" | "RDS" | "ECDS";
}

const prefix = "type.googleapis.com/";

/**
 * The types in the order in which they must be sent so that nothing is named
 * before it exists (xds_protocol.rst, "Eventual consistency considerations"): a
 * route names clusters, a listener names routes and extensions. The filters'
 * configuration comes last because it chooses among variants that the routes
 * must know by then.
 */
export const resourceTypes: readonly ResourceType[] = [
  { name: "CDS", url: `${prefix}envoy.config.cluster.v3.Cluster`, wildcard: true },
  { name: "EDS", url: `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`, wildcard: false },
  { name: "LDS", url: `${prefix}envoy.config.listener.v3.Listener`, wildcard: true },
  { name: "RDS", url: `${prefix}envoy.config.route.v3.RouteConfiguration`, wildcard: false },
  { name: "ECDS", url: `${prefix}envoy.config.core.v3.TypedExtensionConfig`, wildcard: false },
];

/** The short name of an xDS type, such as "CDS". */
export type TypeName = ResourceType["name"];

/** The type of a URL; one without a name when Weir has nothing of it. */
export function typeOfUrl(url: string): StreamType {
  return resourceTypes.find((type) => type.url === url) ?? { url, wildcard: false };
}
