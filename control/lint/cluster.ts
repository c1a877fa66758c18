import { parseAllDocuments } from "yaml";
import type { InferenceRoute, Variant } from "../gen/weir/v1/route_pb.ts";
import { routeName } from "../route/index.ts";

/** A Kubernetes object as kubectl writes it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** What is known of a cluster: the objects that somebody listed. */
export interface Cluster {
  objects: KubernetesObject[];
}

/** The objects of some YAML or JSON documents, lists unfolded. @throws Error on text that is neither */
export function readCluster(text: string): Cluster {
  const objects: KubernetesObject[] = [];
  const take = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    const object = value as KubernetesObject & { items?: unknown[] };
    if (Array.isArray(object.items)) for (const item of object.items) take(item);
    else if (typeof object.kind === "string" && typeof object.metadata?.name === "string")
      objects.push(object);
  };
  const documents = parseAllDocuments(text);
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error) throw new Error(error.message.split("\n", 1)[0]);
    take(document.toJS({ maxAliasCount: 100 }));
  }
  return { objects };
}

/** Objects of a kind in a namespace. */
export function objectsOf(
  { objects }: Cluster,
  kind: string,
  namespace?: string,
): KubernetesObject[] {
  return objects.filter(
    (object) =>
      object.kind === kind &&
      (namespace === undefined || (object.metadata.namespace ?? "default") === namespace),
  );
}

export function namespaceOf(route: InferenceRoute): string {
  return routeName(route).split("/", 1)[0] ?? "";
}

/**
 * Ready pods behind the variant's Service with the variant's labels; undefined
 * when the cluster's listing has no such Service or no pods at all.
 */
export function readyPods(
  route: InferenceRoute,
  variant: Variant,
  cluster: Cluster,
): number | undefined {
  const namespace = namespaceOf(route);
  const name = variant.service || route.spec?.service?.name;
  const service = objectsOf(cluster, "Service", namespace).find(
    ({ metadata }) => metadata.name === name,
  );
  const selector = service?.spec?.selector as Record<string, string> | undefined;
  if (selector === undefined || objectsOf(cluster, "Pod").length === 0) return undefined;
  const wanted = { ...selector, ...(variant.service === "" ? variant.labels : {}) };
  return objectsOf(cluster, "Pod", namespace).filter(
    (pod) => isReady(pod) && matches(pod.metadata.labels ?? {}, wanted),
  ).length;
}

function isReady({ status }: KubernetesObject): boolean {
  const conditions = (status?.conditions ?? []) as { type?: string; status?: string }[];
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

function matches(labels: Record<string, string>, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
