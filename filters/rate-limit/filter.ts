import { findTenant, keyBytes, keyPtr } from "../identity";
import {
  fairnessHeader,
  objectiveHeader,
  removeClaimed,
  removeSchedulerClaims,
  tenantHeader,
  tierHeader,
} from "../plugin";
import { REQUEST_HEADERS, setHeader, Text, textBytes, textPtr } from "../sdk";
import { RateLimitPolicy } from "./config";
import { admit, refusedForNs } from "./limiter";
import { others, takePlace } from "./places";
import { RATE, refuse } from "./refusal";
import { Tenant, tenantNamed } from "./tenants";

/** Admits the request, or answers it; false when it was answered. */
export function applyRateLimit(policy: RateLimitPolicy, context: u32): bool {
  const tenant = tenantOf(policy);
  const tier = tenant.tier;
  if (!admit(tenant.bucket, tier)) {
    tier.refused.pending++;
    refuse(RATE, tier, refusedForNs, 0);
    return false;
  }
  if (FULL && !takePlace(policy, tenant, context)) return false;
  tier.admitted.pending++;
  if (policy.forwardTenant && tenant != policy.tenants.others) forward(tenantHeader, tenant.name);
  else removeClaimed(tenantHeader);
  if (policy.forwardTier) forward(tierHeader, tier.name);
  else removeClaimed(tierHeader);
  if (FULL && policy.forwardScheduler) {
    removeSchedulerClaims();
    forward(objectiveHeader, tier.objective);
    forward(fairnessHeader, tenant == policy.tenants.others ? others : tenant.name);
  }
  return true;
}

/** The caller's tenant; whoever is unknown, says nothing or contradicts themselves is one of the others. */
function tenantOf(policy: RateLimitPolicy): Tenant {
  const tenants = policy.tenants;
  return findTenant(policy.identity) ? tenantNamed(tenants, keyPtr, keyBytes) : tenants.others;
}

function forward(name: Text, value: Text): void {
  setHeader(REQUEST_HEADERS, name, textPtr(value), textBytes(value));
}
