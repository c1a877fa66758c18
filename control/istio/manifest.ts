import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** A Kubernetes object as Weir renders it. */
export interface K8sObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    labels: Record<string, string>;
    annotations: Record<string, string>;
  };
  spec: JsonObject;
}

/** Says which field of the route a part of an object came from; a comment in the YAML. */
export interface Origin {
  /** Keys and indexes from the object's root; empty: the object itself. */
  path: (string | number)[];
  text: string;
}

/** One object to apply, with the reasons for its parts. */
export interface Manifest {
  object: K8sObject;
  origins: Origin[];
}

/** Metadata of an object made for these routes ("namespace/name"). */
export function metadataFor(
  name: string,
  namespace: string,
  routes: string[],
): K8sObject["metadata"] {
  return {
    name,
    namespace,
    labels: { "app.kubernetes.io/managed-by": "weir" },
    annotations: { "weir.dev/route": routes.join(",") },
  };
}

/** The object without members that are undefined: absent fields stay absent in the manifest. */
export function defined(members: Record<string, JsonValue | undefined>): JsonObject {
  const kept: JsonObject = {};
  for (const name in members) {
    const value = members[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** Like {@link defined}, but undefined when nothing is left: Istio refuses empty policies. */
export function definedOrNothing(
  members: Record<string, JsonValue | undefined>,
): JsonObject | undefined {
  for (const name in members) if (members[name] !== undefined) return defined(members);
  return undefined;
}
