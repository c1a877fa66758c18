import type { Cors, RouteSpec } from "../gen/weir/v1/route_pb.ts";

/** What a page has to read to wait as long as it was told. */
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

/** By which an answer says which pages may read it. */
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

/** Those by which a route tells its callers apart: without them a page is a stranger. */
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
