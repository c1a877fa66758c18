import { policyOf, Route, registerMember, SHADOW } from "../document";
import { modeHeader, nameFilter, openRequest, removeClaimed, tagHeader } from "../plugin";
import { CONTINUE } from "../sdk";
import { bindShadow, parseShadow, ShadowPolicy } from "../shadow/config";
import { applyShadow } from "../shadow/filter";

export * from "./callbacks";

nameFilter("shadow");
registerMember(SHADOW, parseShadow, bindShadow);

export function proxy_on_request_headers(_context: u32, _count: u32, endOfStream: u32): i32 {
  const route = openRequest();
  const policy = route == 0 ? 0 : policyOf(changetype<Route>(route), SHADOW);
  if (policy != 0) applyShadow(changetype<ShadowPolicy>(policy), endOfStream != 0);
  else {
    removeClaimed(modeHeader);
    removeClaimed(tagHeader);
  }
  return CONTINUE;
}
