import type { Cors, RouteSpec } from "../gen/weir/v1/route_pb.ts";

/** Response headers that a page must read to know when to retry. */
const toldLimits = [
  "retry-after",
  "x-should-retry",
  "ratelimit",
  "ratelimit-policy",
  "x-request-id",
  ...["limit", "remaining", "reset"].flatMap((what) =>
    ["requests", "tokens"].map((of) => `x-ratelimit-${what}-${of}`),
  ),
];
const usualHeaders = ["authorization", "content-type", "x-api-key"];

/** Response headers that name the origins that may read it. */
export const corsHeaders = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-allow-private-network",
  "access-control-expose-headers",
  "access-control-max-age",
];

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

/** Headers that identify callers: a page that cannot send them counts as an unknown tenant. */
function callerHeaders({ rateLimit, canary }: RouteSpec): string[] {
  const sources = [...(rateLimit?.identity ?? []), ...(canary?.stickyBy ?? [])];
  return sources.flatMap(({ source }) => (source.case === "header" ? [source.value] : []));
}

/**
 * Fills in what a route leaves open: the headers that pages may send, the methods, and the 600
 * seconds for which browsers need not ask again.
 */
export function corsRules(cors: Cors, spec: RouteSpec): CorsRules {
  return {
    origins: cors.allowOrigins,
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders:
      cors.allowHeaders.length > 0
        ? cors.allowHeaders
        : [...new Set([...usualHeaders, ...callerHeaders(spec)])],
    exposeHeaders: [...new Set([...toldLimits, ...cors.exposeHeaders])],
    credentials: cors.allowCredentials,
    maxAgeSeconds: 600,
  };
}
