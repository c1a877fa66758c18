import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { LocalRateLimitSchema } from "../../gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts";
import type { HttpFilterSchema } from "../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { FractionalPercent_DenominatorType } from "../../gen/envoy/type/v3/percent_pb.ts";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import type { ConnectionLimit } from "../../gen/weir/v1/traffic_pb.ts";
import { pack, seconds } from "./common.ts";

export const connectionLimitName = "weir.connection_limit";
const statPrefix = "weir_connection";
const always = {
  defaultValue: { numerator: 100, denominator: FractionalPercent_DenominatorType.HUNDRED },
};

/** Envoy's own limit per connection, idle, where any route asks for one; the routes carry theirs. */
export function connectionLimits(
  routes: readonly InferenceRoute[],
): MessageInitShape<typeof HttpFilterSchema>[] {
  if (!routes.some(({ spec }) => spec?.rateLimit?.perConnection)) return [];
  const value = pack(LocalRateLimitSchema, { statPrefix });
  return [{ name: connectionLimitName, configType: { case: "typedConfig", value } }];
}

/** What a route with such a limit carries. */
export function connectionLimitOnRoute(limit: ConnectionLimit): Any {
  return pack(LocalRateLimitSchema, {
    statPrefix,
    tokenBucket: {
      maxTokens: limit.burst || limit.requestsPerSecond,
      tokensPerFill: limit.requestsPerSecond,
      fillInterval: seconds(1),
    },
    filterEnabled: always,
    filterEnforced: always,
    localRateLimitPerDownstreamConnection: true,
    responseHeadersToAdd: [{ header: { key: "retry-after", value: "1" } }],
  });
}
