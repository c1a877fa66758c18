import type { Cors } from "../gen/weir/v1/route_pb.ts";

/** What a page has to read to wait as long as it was told. */
const toldLimits = [
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
  "x-request-id",
  ...["limit", "remaining", "reset"].flatMap((what) =>
    ["requests", "tokens"].map((of) => `x-ratelimit-${what}-${of}`),
  ),
];
const usualHeaders = ["authorization", "content-type", "x-api-key"];

/** What pages of other origins may do, with what a route leaves open filled in. */
export interface CorsRules {
  origins: readonly string[];
  methods: readonly string[];
  allowHeaders: readonly string[];
  exposeHeaders: readonly string[];
  credentials: boolean;
  /** How long a browser need not ask again. */
  maxAgeSeconds: number;
}

export function corsRules(cors: Cors): CorsRules {
  return {
    origins: cors.allowOrigins,
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders: cors.allowHeaders.length > 0 ? cors.allowHeaders : usualHeaders,
    exposeHeaders: [...new Set([...toldLimits, ...cors.exposeHeaders])],
    credentials: cors.allowCredentials,
    maxAgeSeconds: 600,
  };
}
