import { bindCanary, CanaryPolicy, parseCanary } from "../canary/config";
import { applyCanary } from "../canary/filter";
import { CANARY, policyOf, registerMember } from "../document";
import { nameFilter, openRequest, removeClaimed, variantHeader } from "../plugin";
import { CONTINUE } from "../sdk";

export * from "./callbacks";

nameFilter("canary");
registerMember(CANARY, parseCanary, bindCanary);

export function proxy_on_request_headers(_context: u32, _count: u32, _endOfStream: u32): i32 {
  const route = openRequest();
  const policy: CanaryPolicy | null = route === null ? null : policyOf<CanaryPolicy>(route, CANARY);
  if (policy !== null) applyCanary(policy);
  else removeClaimed(variantHeader);
  return CONTINUE;
}
