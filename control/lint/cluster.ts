import type { InferenceRoute, Variant } from "../gen/weir/v1/route_pb.ts";
import { type KubernetesObject, objectsOf } from "../objects/index.ts";
import { routeName } from "../route/index.ts";

/** What is known of a cluster: the objects that somebody listed. */
export type Cluster = readonly KubernetesObject[];

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
