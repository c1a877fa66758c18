import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { ConnectionLimit } from "../../gen/weir/v1/traffic_pb.ts";
import type { ChainFilter } from "./compressor.ts";

const type = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit";
const always = { default_value: { numerator: 100, denominator: "HUNDRED" } };

/**
 * Envoy's own limit per connection. It stands behind the filters, which tell
 * tenants apart; this one only keeps a single connection from taking a worker.
 */
export function connectionLimit(limit: ConnectionLimit): ChainFilter {
  const settings = {
    "@type": type,
    stat_prefix: "weir_connection",
    token_bucket: {
      max_tokens: limit.burst || limit.requestsPerSecond,
      tokens_per_fill: limit.requestsPerSecond,
      fill_interval: "1s",
    },
    filter_enabled: always,
    filter_enforced: always,
    local_rate_limit_per_downstream_connection: true,
    response_headers_to_add: [{ header: { key: "retry-after", value: "1" } }],
  } satisfies JsonObject;
  const id = createHash("sha256").update(JSON.stringify(settings)).digest("hex").slice(0, 8);
  return {
    name: `weir.connection_limit.${id}`,
    typedConfig: settings,
    // Off means off: with settings of its own the filter would limit every route of the listener.
    idleConfig: { "@type": type, stat_prefix: "weir_connection" },
    onRoute: settings,
  };
}
