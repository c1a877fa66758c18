/** A Kubernetes object as the API server gives it. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: KubeMetadata;
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

/** The metadata of an object (meta/v1 ObjectMeta), as far as Weir reads it. */
export interface KubeMetadata {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  deletionTimestamp?: string;
  managedFields?: ManagedFields[];
  [field: string]: unknown;
}

/** Who owns which fields (meta/v1 ManagedFieldsEntry). */
export interface ManagedFields {
  manager?: string;
  operation?: "Apply" | "Update";
  subresource?: string;
  time?: string;
  fieldsV1?: Record<string, unknown>;
}

/** A kind of object: where the API server keeps it. */
export interface Resource {
  /** "networking.istio.io/v1"; "v1" for the core group. */
  apiVersion: string;
  /** "VirtualService". */
  kind: string;
  /** Name in the path: "virtualservices". */
  plural: string;
}

/** Path of all objects of a kind, or of those in one namespace. */
export function collectionPath({ apiVersion, plural }: Resource, namespace?: string): string {
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace ? `${group}/namespaces/${namespace}/${plural}` : `${group}/${plural}`;
}

/** Path of one object. */
export function objectPath(resource: Resource, namespace: string | undefined, name: string) {
  return `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}`;
}
