import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  CorsPolicySchema,
  CorsSchema,
} from "../../gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { corsRules } from "../../route/index.ts";
import { pack } from "./common.ts";

const corsName = "envoy.filters.http.cors";

/** Envoy's own filter for pages of other origins, before Weir's: refusals carry its headers, and preflights end there. */
export function corsFilter(
  routes: readonly InferenceRoute[],
): MessageInitShape<typeof HttpFilterSchema>[] {
  if (!routes.some(({ spec }) => spec?.cors)) return [];
  return [{ name: corsName, configType: { case: "typedConfig", value: pack(CorsSchema, {}) } }];
}

/** What a route with such pages carries. */
export function corsOnRoute(spec: RouteSpec): Record<string, Any> {
  if (spec.cors === undefined) return {};
  const rules = corsRules(spec.cors, spec);
  const policy = pack(CorsPolicySchema, {
    allowOriginStringMatch: rules.origins.map((origin) => ({
      matchPattern:
        origin === "*"
          ? { case: "safeRegex" as const, value: { regex: ".*" } }
          : { case: "exact" as const, value: origin },
    })),
    allowMethods: rules.methods.join(","),
    allowHeaders: rules.allowHeaders.join(","),
    exposeHeaders: rules.exposeHeaders.join(","),
    maxAge: `${rules.maxAgeSeconds}`,
    allowCredentials: rules.credentials,
  });
  return { [corsName]: policy };
}
