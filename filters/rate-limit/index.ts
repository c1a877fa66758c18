import { policyOf, RATE_LIMIT, Route, registerMember } from "../document";
import { nameFilter, openRequest, removeClaimed, tenantHeader, tierHeader } from "../plugin";
import { CONTINUE, STOP_ITERATION } from "../sdk";
import { bindRateLimit, parseRateLimit, RateLimitPolicy, releaseRateLimit } from "./config";
import { applyRateLimit } from "./filter";

export {
  proxy_on_configure,
  proxy_on_delete,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "../plugin";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../sdk";

nameFilter("rate-limit");
registerMember(RATE_LIMIT, parseRateLimit, bindRateLimit, releaseRateLimit);

export function proxy_on_request_headers(context: u32, _count: u32, _endOfStream: u32): i32 {
  const route = openRequest();
  const policy = route == 0 ? 0 : policyOf(changetype<Route>(route), RATE_LIMIT);
  if (policy != 0) {
    if (!applyRateLimit(changetype<RateLimitPolicy>(policy), context, false)) return STOP_ITERATION;
  } else {
    removeClaimed(tenantHeader);
    removeClaimed(tierHeader);
  }
  return CONTINUE;
}
