import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { FilterConfigSchema } from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { asksModel, usualBodyBytes } from "../../route/index.ts";
import { pack } from "./common.ts";
import { maxBufferedBytes } from "./edge.ts";
import { selectFilterName } from "./options.ts";

/** Turns the filter on that chooses among the routes of a host: it is off where a host has one. */
export const selectOn: Record<string, Any> = {
  [selectFilterName]: pack(FilterConfigSchema, { config: create(AnySchema, {}) }),
};

/**
 * The filter refuses bodies that grow too long before Envoy does, which would not say why; so much
 * more may come at once.
 */
const spareBytes = 2 * maxBufferedBytes;

/** Bytes of a body that Envoy may hold for the filter; 0 where no route asks for bodies. */
export function bodyLimit(routes: readonly InferenceRoute[]): number {
  if (!routes.some(asksBody)) return 0;
  const sizes = routes.map(({ spec }) => spec?.models?.maxBodyBytes ?? usualBodyBytes);
  return Math.max(...sizes) + spareBytes;
}

/** Whether the match of a route asks for the model that bodies name. */
function asksBody(route: InferenceRoute): boolean {
  return asksModel(route) && !route.spec?.models?.header;
}
