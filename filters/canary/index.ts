import { CANARY, policyOf, Route, registerMember } from "../document";
import { nameFilter, openRequest, removeClaimed, variantHeader } from "../plugin";
import { CONTINUE } from "../sdk";
import { bindCanary, CanaryPolicy, parseCanary } from "./config";
import { applyCanary } from "./filter";

export {
  proxy_on_configure,
  proxy_on_delete,
  proxy_on_request_trailers,
  proxy_on_response_trailers,
  proxy_on_tick,
} from "../plugin";
export { proxy_abi_version_0_2_1, proxy_on_memory_allocate } from "../sdk";

nameFilter("canary");
registerMember(CANARY, parseCanary, bindCanary);

export function proxy_on_request_headers(_context: u32, _count: u32, _endOfStream: u32): i32 {
  const route = openRequest();
  const policy = route == 0 ? 0 : policyOf(changetype<Route>(route), CANARY);
  if (policy != 0) applyCanary(changetype<CanaryPolicy>(policy));
  else removeClaimed(variantHeader);
  return CONTINUE;
}
