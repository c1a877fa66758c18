import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  FilterConfigSchema,
  type RouteSchema,
} from "../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { controlHeaders, type Excepted, exceptedOf, shadowHeaders } from "../../route/index.ts";
import { pack } from "./common.ts";
import { connectionLimitName } from "./connection-limit.ts";
import { methodIn } from "./method.ts";
import { filterName, tokenFilterName } from "./options.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;
/** An entry that is not a message yet. */
export type RouteFields = Exclude<RouteInit, { $typeName: string }>;

/** Off on a route, whichever of them the listener has. */
const limitsOff: Record<string, Any> = Object.fromEntries(
  [filterName, tokenFilterName, connectionLimitName].map((name) => [
    name,
    pack(FilterConfigSchema, { disabled: true }),
  ]),
);

/**
 * Entries for requests that no limit holds for, before all others: they go where the weights lead.
 * @param last the entry that serves where no filter has chosen
 */
export function exceptedEntries({ spec }: InferenceRoute, last: RouteFields): RouteFields[] {
  return exceptedOf(spec as RouteSpec).map((excepted, index) => ({
    ...last,
    name: `${last.name}/excepted-${index}`,
    match: matchOf(excepted),
    // No filter looks at them: nobody else would take away what clients claim.
    requestHeadersToRemove: [...controlHeaders, ...shadowHeaders(spec as RouteSpec)],
    typedPerFilterConfig: { ...last.typedPerFilterConfig, ...limitsOff },
  }));
}

function matchOf({ headers = [], methods, path, prefix }: Excepted): RouteInit["match"] {
  return {
    pathSpecifier: { case: prefix ? "prefix" : "path", value: path },
    headers: [
      methodIn(methods),
      ...headers.map((name) => ({
        name,
        headerMatchSpecifier: { case: "presentMatch" as const, value: true },
      })),
    ],
  };
}
