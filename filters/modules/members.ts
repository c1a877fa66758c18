import { bindCanary, parseCanary } from "../canary/config";
import { bindCompression, parseCompression } from "../compression/config";
import { CANARY, COMPRESSION, RATE_LIMIT, registerMember, SHADOW } from "../document";
import { bindRateLimit, parseRateLimit, releaseRateLimit } from "../rate-limit/config";
import { bindShadow, parseShadow } from "../shadow/config";

/** Names the parsers of all four decisions. */
export function registerAll(): void {
  registerMember(RATE_LIMIT, parseRateLimit, bindRateLimit, releaseRateLimit);
  registerMember(SHADOW, parseShadow, bindShadow);
  registerMember(CANARY, parseCanary, bindCanary);
  registerMember(COMPRESSION, parseCompression, bindCompression);
}
