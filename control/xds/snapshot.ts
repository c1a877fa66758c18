import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { ClusterSchema } from "../gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { RouteConfiguration } from "../gen/envoy/config/route/v3/route_pb.ts";
import type { Resource } from "./resources/index.ts";
import { resourceTypes, type TypeName } from "./types.ts";

/** One encoded resource: a serialized google.protobuf.Any and the digest of its content. */
export interface EncodedResource {
  name: string;
  version: string;
  any: Uint8Array;
}

/** All resources of one type; the version is a digest of all of them, so equal content has equal versions. */
export interface ResourceSet {
  version: string;
  resources: ReadonlyMap<string, EncodedResource>;
}

/** All resources that proxies are sent at one moment; it never changes. */
export type Snapshot = Readonly<Record<TypeName, ResourceSet>>;

/**
 * Encodes and checks a set of resources. Versions are digests, so a resource that did not
 * change has the same one in the next snapshot.
 * @throws Error when one names a cluster that is not there
 */
export function createSnapshot(resources: Record<TypeName, Resource[]>): Snapshot {
  checkReferences(resources);
  const sets = resourceTypes.map(({ name }) => [name, encodeSet(resources[name])] as const);
  return Object.freeze(Object.fromEntries(sets)) as Snapshot;
}

/** The snapshot with other endpoints in the place of those by the same names. */
export function withEndpoints(snapshot: Snapshot, endpoints: readonly Resource[]): Snapshot {
  if (endpoints.length === 0) return snapshot;
  const { resources: newer } = encodeSet(endpoints);
  const resources = new Map([...snapshot.EDS.resources, ...newer]);
  const version = digestOf(resources.values());
  if (version === snapshot.EDS.version) return snapshot;
  return Object.freeze({ ...snapshot, EDS: { version, resources } });
}

function encodeSet(resources: readonly Resource[]): ResourceSet {
  const encoded = new Map<string, EncodedResource>();
  for (const { name, schema, message } of resources) {
    const any = toBinary(AnySchema, anyPack(schema, message));
    encoded.set(name, encodeResource(name, any));
  }
  return { version: digestOf(encoded.values()), resources: encoded };
}

/** A resource under the digest of its content. */
export function encodeResource(name: string, any: Uint8Array): EncodedResource {
  return { name, any, version: digest([any]) };
}

/** Digest of a set of resources, by their names and versions. */
export function digestOf(resources: Iterable<EncodedResource>): string {
  return digest([...resources].map(({ name, version }) => Buffer.from(`${name}\0${version}\0`)));
}

function digest(parts: Iterable<Uint8Array>): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex").slice(0, 16);
}

/** A route that names a missing cluster would answer 503 to its share of the users. */
function checkReferences(resources: Record<TypeName, Resource[]>): void {
  const clusters = new Set(
    resources.CDS.filter(({ schema }) => schema === ClusterSchema).map(({ name }) => name),
  );
  for (const { message } of resources.RDS)
    for (const host of (message as RouteConfiguration).virtualHosts)
      for (const route of host.routes) {
        if (route.action.case !== "route") continue;
        const { clusterSpecifier, requestMirrorPolicies } = route.action.value;
        const named = requestMirrorPolicies.map(({ cluster }) => cluster);
        if (clusterSpecifier.case === "cluster") named.push(clusterSpecifier.value);
        if (clusterSpecifier.case === "weightedClusters")
          named.push(...clusterSpecifier.value.clusters.map(({ name }) => name));
        const missing = named.find((name) => !clusters.has(name));
        if (missing !== undefined)
          throw new Error(`route ${route.name} names cluster ${missing}, which does not exist`);
      }
}
