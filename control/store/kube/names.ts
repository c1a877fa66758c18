import { createHash } from "node:crypto";
import { collectionPath, objectPath, type Resource } from "../../kube/index.ts";

export const routeResource: Resource = {
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  plural: "inferenceroutes",
};
const changeResource: Resource = {
  apiVersion: "weir.dev/v1alpha1",
  kind: "RouteChange",
  plural: "routechanges",
};

/** Who writes InferenceRoutes, as their managedFields show it. */
export const storeManager = "weir-store";

/** Where the store keeps what the fields of an InferenceRoute cannot say. */
export const stateAnnotation = "weir.dev/state";
/** Changes that are in their InferenceRoute; the others are still to be brought there. */
export const appliedLabel = "weir.dev/applied";

/** Path of all InferenceRoutes of a cluster. */
export const allRoutesPath = collectionPath(routeResource);

/**
 * Path of the InferenceRoute of a route.
 * @param name "namespace/name"
 */
export function routePath(name: string): string {
  const [namespace = "", route = ""] = name.split("/");
  return objectPath(routeResource, namespace, route);
}

/** Collection that a route is created in. */
export function routesPath(name: string): string {
  return collectionPath(routeResource, name.split("/")[0]);
}

export function changesPath(namespace: string): string {
  return collectionPath(changeResource, namespace);
}

export function changePath(namespace: string, sequence: bigint): string {
  return objectPath(changeResource, namespace, changeName(sequence));
}

/** Names sort as the numbers do. */
export function changeName(sequence: bigint): string {
  return `change-${String(sequence).padStart(16, "0")}`;
}

/** Undefined for an object that someone else made. */
export function sequenceOf(name: string): bigint | undefined {
  const found = /^change-(\d{16})$/.exec(name);
  const number = Number(found?.[1]);
  // Beyond it a number has no room in the object that it is in.
  return Number.isSafeInteger(number) && number > 0 ? BigInt(number) : undefined;
}

/** A short name for what a JSON value says, whatever the order of its members. */
export function digest(value: unknown): string {
  return createHash("sha256").update(canonical(value)).digest("hex").slice(0, 16);
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, each]) => each !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(",")}}`;
}
