import { parseAllDocuments } from "yaml";
import { nestingProblem } from "../text/nesting.ts";
import { objectNamespace } from "./names.ts";

/** A Kubernetes object as kubectl writes it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; controller?: boolean }[];
    deletionTimestamp?: string;
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** The objects of some YAML or JSON documents, lists unfolded. @throws Error on text that is neither */
export function readObjects(text: string): KubernetesObject[] {
  const objects: KubernetesObject[] = [];
  const take = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const object = value as KubernetesObject & { items?: unknown[] };
    if (Array.isArray(object.items)) for (const item of object.items) take(item);
    else if (typeof object.kind === "string" && typeof object.metadata?.name === "string")
      objects.push(object);
  };
  const nesting = nestingProblem(text);
  if (nesting !== undefined) throw new Error(`the text ${nesting}`);
  const documents = parseAllDocuments(text);
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) throw new Error(error.message.split("\n", 1)[0]);
    take(document.toJS({ maxAliasCount: 100 }));
  }
  return objects;
}

/** Objects of a kind, in one namespace or all. */
export function objectsOf(
  objects: readonly KubernetesObject[],
  kind: string,
  namespace?: string,
): KubernetesObject[] {
  return objects.filter(
    (object) =>
      object.kind === kind && (namespace === undefined || objectNamespace(object) === namespace),
  );
}
