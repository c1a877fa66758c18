import { isUnidentified } from "../../identity";
import { countRefused, Tenant } from "../bucket/tenants";
import { RateLimitPolicy } from "../config";
import { refuseCaller } from "./refusal";

/** Whether the caller may use the route at all; where not, the request was answered. */
export function mayCall(policy: RateLimitPolicy, caller: Tenant): bool {
  const tier = caller.tier;
  const unknown =
    policy.refuseUnknown && caller == policy.tenants.unknown && isUnidentified(policy.identity);
  if (unknown) policy.refusedUnknown.pending++;
  else if (tier.forbidden) {
    tier.refusedForbidden.pending++;
    countRefused(caller);
  } else return true;
  refuseCaller(unknown, tier.name);
  return false;
}
