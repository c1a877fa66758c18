import { policyOf, RATE_LIMIT, registerMember } from "../document";
import { nameFilter, openRequest, removeClaimed, tenantHeader, tierHeader } from "../plugin";
import {
  bindRateLimit,
  parseRateLimit,
  RateLimitPolicy,
  releaseRateLimit,
} from "../rate-limit/config";
import { applyRateLimit } from "../rate-limit/filter";
import { CONTINUE, STOP_ITERATION } from "../sdk";

export * from "./callbacks";

nameFilter("rate-limit");
registerMember(RATE_LIMIT, parseRateLimit, bindRateLimit, releaseRateLimit);

export function proxy_on_request_headers(context: u32, _count: u32, _endOfStream: u32): i32 {
  const route = openRequest();
  const policy: RateLimitPolicy | null =
    route === null ? null : policyOf<RateLimitPolicy>(route, RATE_LIMIT);
  if (policy !== null) {
    if (!applyRateLimit(policy, context, false)) return STOP_ITERATION;
  } else {
    removeClaimed(tenantHeader);
    removeClaimed(tierHeader);
  }
  return CONTINUE;
}
