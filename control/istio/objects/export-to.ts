import type { RouteSpec } from "../../gen/weir/v1/route_pb.ts";

/** Namespaces that see an object; undefined: as the mesh has it. */
export function exportTo(spec: RouteSpec): string[] | undefined {
  const namespaces = spec.mesh?.exportTo ?? [];
  return namespaces.length > 0 ? namespaces : undefined;
}
