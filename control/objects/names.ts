import { defaultNamespace } from "../route/index.ts";

interface Named {
  metadata: { name: string; namespace?: string };
}

/** Namespace of an object: kubectl takes one that names none as one of the default namespace. */
export function objectNamespace({ metadata }: Named): string {
  return metadata.namespace ?? defaultNamespace;
}

/** "namespace/name" of an object. */
export function fullObjectName(object: Named): string {
  return `${objectNamespace(object)}/${object.metadata.name}`;
}
