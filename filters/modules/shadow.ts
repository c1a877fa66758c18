import { policyOf, registerMember, SHADOW } from "../document";
import { modeHeader, nameFilter, openRequest, removeClaimed, tagHeader } from "../plugin";
import { CONTINUE } from "../sdk";
import { bindShadow, parseShadow, ShadowPolicy } from "../shadow/config";
import { applyShadow } from "../shadow/filter";

export * from "./callbacks";

nameFilter("shadow");
registerMember(SHADOW, parseShadow, bindShadow);

export function proxy_on_request_headers(_context: u32, _count: u32, endOfStream: u32): i32 {
  const route = openRequest();
  const policy: ShadowPolicy | null = route === null ? null : policyOf<ShadowPolicy>(route, SHADOW);
  if (policy !== null) applyShadow(policy, endOfStream != 0);
  else {
    removeClaimed(modeHeader);
    removeClaimed(tagHeader);
  }
  return CONTINUE;
}
