import { collectionPath, objectPath, type Resource } from "../kube/index.ts";

/** A kind of object that Weir renders, and when its turn is. */
export interface RenderedKind extends Resource {
  /**
   * Lower ones are applied first and deleted last: what is referred to is there
   * before what refers to it, and longer.
   */
  rank: number;
  /** What a cluster needs to know the kind. */
  needs: string;
}

/** Rank of the filters; lower are the places that matches lead to. */
export const filterRank = 2;

/** Rank of what leads requests somewhere. */
export const routeRank = 4;

const istio = "networking.istio.io";
const kinds: RenderedKind[] = [
  kind(`${istio}/v1`, "ServiceEntry", "serviceentries", 0),
  kind(`${istio}/v1`, "DestinationRule", "destinationrules", 1),
  kind(
    "extensions.istio.io/v1alpha1",
    "TrafficExtension",
    "trafficextensions",
    filterRank,
    "Istio 1.30",
  ),
  kind("extensions.istio.io/v1alpha1", "WasmPlugin", "wasmplugins", filterRank),
  kind(`${istio}/v1alpha3`, "EnvoyFilter", "envoyfilters", 3),
  kind("security.istio.io/v1", "AuthorizationPolicy", "authorizationpolicies", 3),
  kind("telemetry.istio.io/v1", "Telemetry", "telemetries", 3),
  kind(`${istio}/v1`, "VirtualService", "virtualservices", routeRank),
  kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes", routeRank, "the Gateway API"),
  kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", 5, "Kubernetes"),
  kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects", 5, "KEDA"),
];

function kind(
  apiVersion: string,
  name: string,
  plural: string,
  rank: number,
  needs = "Istio 1.28",
): RenderedKind {
  return { apiVersion, kind: name, plural, rank, needs };
}

/** The kinds of objects that Weir applies, with the order in which they are applied. */
export const renderedKinds: readonly RenderedKind[] = kinds;

/** @throws Error for a kind that the renderer makes and this table lacks */
export function kindOf(object: { apiVersion: string; kind: string }): RenderedKind {
  const found = kinds.find(
    (each) => each.kind === object.kind && each.apiVersion === object.apiVersion,
  );
  if (found === undefined) throw new Error(`no one applies ${object.apiVersion} ${object.kind}`);
  return found;
}

/** What an object is known by: "VirtualService inference/weir-chat". */
export function keyOf(object: {
  kind: string;
  metadata: { name: string; namespace?: string };
}): string {
  return `${object.kind} ${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

export function pathOf(object: {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
}): string {
  return objectPath(kindOf(object), object.metadata.namespace, object.metadata.name);
}

export function collectionOf(kind: RenderedKind): string {
  return collectionPath(kind);
}
