import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { FilterConfigSchema } from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { asksModel, usualBodyBytes } from "../../route/index.ts";
import { pack } from "./common.ts";
import { selectFilterName } from "./options.ts";

/** Turns the filter on that chooses among the routes of a host: it is off where a host has one. */
export const selectOn: Record<string, Any> = {
  [selectFilterName]: pack(FilterConfigSchema, { config: create(AnySchema, {}) }),
};

/** The filter refuses bodies that grow too long before Envoy does, which would not say why. */
const spareBytes = 1 << 18;

/** How much of a body Envoy may hold for the filter; undefined where no route asks for bodies. */
export function bodyLimit(routes: readonly InferenceRoute[]): number | undefined {
  if (!routes.some(asksBody)) return undefined;
  const sizes = routes.map(({ spec }) => spec?.models?.maxBodyBytes ?? usualBodyBytes);
  return Math.max(...sizes) + spareBytes;
}

/** Whether the match of a route asks for the model that bodies name. */
function asksBody(route: InferenceRoute): boolean {
  return asksModel(route) && !route.spec?.models?.header;
}
