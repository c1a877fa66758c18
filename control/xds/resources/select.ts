import { create } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { FilterConfigSchema } from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import { pack } from "./common.ts";
import { selectFilterName } from "./options.ts";

/** Turns the filter on that chooses among the routes of a host: it is off where a host has one. */
export const selectOn: Record<string, Any> = {
  [selectFilterName]: pack(FilterConfigSchema, { config: create(AnySchema, {}) }),
};
