import { bindCanary, parseCanary } from "../canary/config";
import { bindCompression, parseCompression } from "../compression/config";
import { CANARY, COMPRESSION, RATE_LIMIT, registerMember, SHADOW } from "../document";
import { nameFilter, openRequest } from "../plugin";
import { bindRateLimit, parseRateLimit, releaseRateLimit } from "../rate-limit/config";
import { bindShadow, parseShadow } from "../shadow/config";
import { decide } from "./decide";

export {
  proxy_on_configure,
  proxy_on_delete,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "../plugin";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../sdk";

nameFilter("all");
registerMember(RATE_LIMIT, parseRateLimit, bindRateLimit, releaseRateLimit);
registerMember(SHADOW, parseShadow, bindShadow);
registerMember(CANARY, parseCanary, bindCanary);
registerMember(COMPRESSION, parseCompression, bindCompression);

export function proxy_on_request_headers(_context: u32, _count: u32, endOfStream: u32): i32 {
  return decide(openRequest(), endOfStream != 0);
}
