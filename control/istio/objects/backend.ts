import type { JsonObject } from "@bufbuild/protobuf";
import type { RouteSpec, Variant } from "../../gen/weir/v1/route_pb.ts";

/** Host that answers for a variant: its own Service, or the one that all share. */
export function hostOf(spec: RouteSpec, variant: Variant): string {
  return variant.service || spec.service?.externalHost || spec.service?.name || "";
}

/**
 * Istio's destination of a variant: a Service of its own, or a subset of the shared one.
 * @param namespace of the Service where it is not that of the object with the destination
 */
export function destination(spec: RouteSpec, variant: Variant, namespace?: string): JsonObject {
  const named = hostOf(spec, variant);
  const host =
    namespace === undefined || named.includes(".")
      ? named
      : `${named}.${namespace}.svc.cluster.local`;
  const port = { number: spec.service?.port ?? 0 };
  return variant.service === "" ? { host, subset: variant.name, port } : { host, port };
}
