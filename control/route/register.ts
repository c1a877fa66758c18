import type { Variant } from "../gen/weir/v1/route_pb.ts";

/** Whether plain Envoys get the pods of a variant: the document lists them, or they register themselves. */
export function isForPlainEnvoys({ endpoints, register }: Variant): boolean {
  return endpoints.length > 0 || register;
}
