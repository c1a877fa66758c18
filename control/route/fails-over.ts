import type { Variant } from "../gen/weir/v1/route_pb.ts";

/** Whether other pods answer where a variant's own cannot be reached. */
export function failsOver({ fallback, fallbackEndpoints }: Variant): boolean {
  return fallback.length > 0 || fallbackEndpoints.length > 0;
}
