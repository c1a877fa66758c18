import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import {
  fullObjectName,
  type KubernetesObject,
  objectNamespace,
  objectsOf,
} from "../../objects/index.ts";
import type { Report } from "../../route/index.ts";
import { routeHeader, routeName } from "../../route/index.ts";
import type { K8sObject, Manifest } from "../manifest.ts";
import type { RouteProblem } from "../problem.ts";
import { mergeDestinationRule } from "./destination-rule.ts";
import { fullHost, gatewaysOf } from "./full-name.ts";
import { mergeHttpRoute, parentsOf } from "./http-route.ts";
import { routesOf } from "./previous.ts";
import { mergeVirtualService } from "./virtual-service.ts";

export interface Merged {
  manifests: Manifest[];
  problems: RouteProblem[];
  /**
   * What the objects said before they were Weir's and do not say any more, as the
   * route sets something else, so that the user who adopts them can check.
   */
  losses: RouteProblem[];
}

/** Bookkeeping of clients and the API server: not for the next one to apply. */
const notKept = ["kubectl.kubernetes.io/last-applied-configuration"];

/**
 * Puts what Weir rendered into objects that are already there: their names,
 * labels, annotations and every field that Weir does not set stay. What would take
 * requests past the route is a problem; what the route replaces is listed.
 */
export function mergeExisting(
  manifests: Manifest[],
  existing: readonly KubernetesObject[],
  routes: InferenceRoute[],
): Merged {
  const problems: RouteProblem[] = [];
  const losses: RouteProblem[] = [];
  const byName = new Map(routes.map((route) => [routeName(route), route]));
  const merged = manifests.map((manifest) => {
    const found = counterparts(manifest.object, existing);
    const [only] = found;
    if (only === undefined) return manifest;
    const route = manifest.object.metadata.annotations["weir.dev/route"] ?? "";
    const refuse = (code: string, path: string, message: string) =>
      problems.push({ route, code, path, message });
    const what = `${only.kind} ${fullObjectName(only)}`;
    if (found.length > 1) {
      const all = found.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(", ");
      refuse(
        "merge-several",
        "metadata.name",
        `${only.kind}s ${all} configure the same host: merge them into one first`,
      );
      return manifest;
    }
    if (only.kind === "VirtualService" && isShared(manifest.object)) {
      // No one else's object has this name.
      if (only.metadata.name === manifest.object.metadata.name) return manifest;
      const message = `${what} configures a host whose routes are told apart by match, which merging does not support: delete it once Weir's own VirtualService is applied`;
      refuse("merge-match", "spec.match", message);
      return manifest;
    }
    const owner = only.metadata.ownerReferences?.find(({ controller }) => controller);
    if (owner) {
      const message = `${what} belongs to ${owner.kind} ${owner.name}, which would undo every change: use mesh.delegate, or remove its owner reference`;
      refuse("merge-owned", "metadata.name", message);
      return manifest;
    }
    if (only.metadata.deletionTimestamp) {
      refuse("merge-deleted", "metadata.name", `${what} is being deleted: wait until it is gone`);
      return manifest;
    }
    // What an earlier merge wrote is the route's own: only the first one can lose anything.
    const isOwn = routesOf(only).includes(route);
    const lose = (code: string, path: string, message: string) => {
      if (!isOwn) losses.push({ route, code, path, message: `${what}: ${message}` });
    };
    const body = bodyOf(manifest, only, route, byName.get(route.split(",")[0] ?? ""), refuse, lose);
    return { ...body, object: withMetadata(body.object, only) };
  });
  return { manifests: problems.length > 0 ? [] : merged, problems, losses };
}

function bodyOf(
  manifest: Manifest,
  existing: KubernetesObject,
  route: string,
  given: InferenceRoute | undefined,
  refuse: Report,
  lose: Report,
): Manifest {
  switch (existing.kind) {
    case "VirtualService":
      return mergeVirtualService(manifest, existing, route, refuse, lose);
    case "HTTPRoute":
      return mergeHttpRoute(manifest, existing, refuse, lose);
    case "DestinationRule":
      return mergeDestinationRule(manifest, existing, given, lose);
    default:
      return manifest;
  }
}

/** Existing objects that are about the same: by name, by host, or by Service. */
function counterparts(
  object: K8sObject,
  existing: readonly KubernetesObject[],
): KubernetesObject[] {
  const same = existing.filter(
    (each) =>
      each.kind === object.kind &&
      each.metadata.name === object.metadata.name &&
      objectNamespace(each) === object.metadata.namespace,
  );
  if (same.length > 0) return same;
  if (object.kind === "VirtualService")
    return objectsOf(existing, "VirtualService").filter((other) => answersFor(other, object));
  if (object.kind === "HTTPRoute")
    return objectsOf(existing, "HTTPRoute").filter((other) => routesAlike(other, object));
  if (object.kind === "DestinationRule")
    return objectsOf(existing, "DestinationRule").filter(
      (other) =>
        fullHost(other.spec?.host, other.metadata.namespace) ===
        fullHost(object.spec.host, object.metadata.namespace),
    );
  return [];
}

function answersFor(other: KubernetesObject, { metadata, spec }: K8sObject): boolean {
  const hosts = (other.spec?.hosts ?? []) as string[];
  const mine = gatewaysOf(spec.gateways, metadata.namespace);
  return (
    ((spec.hosts ?? []) as string[]).some((host) => hosts.includes(host)) &&
    gatewaysOf(other.spec?.gateways, other.metadata.namespace).some((each) => mine.includes(each))
  );
}

/** Whether two HTTPRoutes have a host and a parent in common; no host means every one. */
function routesAlike(other: KubernetesObject, { metadata, spec }: K8sObject): boolean {
  const hosts = (other.spec?.hostnames ?? []) as string[];
  const mine = (spec.hostnames ?? []) as string[];
  if (hosts.length > 0 && mine.length > 0 && !mine.some((host) => hosts.includes(host)))
    return false;
  const parents = parentsOf(spec, metadata.namespace).map(({ key }) => key);
  return parentsOf(other.spec ?? {}, other.metadata.namespace).some(({ key }) =>
    parents.includes(key),
  );
}

/** Whether a filter chooses which rules of the object a request is for. */
function isShared({ spec }: K8sObject): boolean {
  const rules = (spec.http ?? []) as { match?: { headers?: object }[] }[];
  return rules.some(({ match }) => match?.some(({ headers }) => routeHeader in (headers ?? {})));
}

function withMetadata(object: K8sObject, there: KubernetesObject): K8sObject {
  const { metadata } = there;
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([name]) => !notKept.includes(name),
  );
  return {
    ...object,
    metadata: {
      name: metadata.name,
      namespace: objectNamespace(there),
      labels: { ...object.metadata.labels, ...metadata.labels },
      annotations: { ...Object.fromEntries(annotations), ...object.metadata.annotations },
    },
  };
}
