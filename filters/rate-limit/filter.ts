import { findTenant, shadowTenant } from "../identity";
import {
  fairnessHeader,
  objectiveHeader,
  removeClaimed,
  removeSchedulerClaims,
  tenantHeader,
  tierHeader,
} from "../plugin";
import { EXTENDED, REQUEST_HEADERS, setHeader, Text, textBytes, textPtr } from "../sdk";
import { ADMITTED, admit } from "./bucket/limiter";
import { countRefused, Tenant, tenantNamed } from "./bucket/tenants";
import { mayCall } from "./caller/may-call";
import { takePlace, unknownName } from "./concurrency/concurrency";
import { RateLimitPolicy } from "./config";
import { RATE, refuse } from "./refusal";

/**
 * Admits the request, or answers it; false when it was answered. A diverted
 * request is test traffic: no tenant pays for it, but its caller must be allowed to call.
 */
export function applyRateLimit(policy: RateLimitPolicy, context: u32, diverted: bool): bool {
  const caller = tenantOf(policy);
  if (EXTENDED && !mayCall(policy, caller)) return false;
  const tenant = EXTENDED && diverted ? shadowOf(policy) : caller;
  const tier = tenant.tier;
  const waitNs = admit(tenant.bucket, tier);
  if (waitNs != ADMITTED) {
    tier.refused.pending++;
    countRefused(tenant);
    refuse(RATE, tier, waitNs, 0);
    return false;
  }
  if (EXTENDED && !takePlace(policy, tenant, context)) {
    countRefused(tenant);
    return false;
  }
  tier.admitted.pending++;
  const known = tenant != policy.tenants.unknown && !(EXTENDED && diverted);
  if (policy.forwardTenant && known) forward(tenantHeader, tenant.name);
  else removeClaimed(tenantHeader);
  if (policy.forwardTier) forward(tierHeader, tier.name);
  else removeClaimed(tierHeader);
  if (EXTENDED && policy.forwardScheduler) {
    removeSchedulerClaims();
    forward(objectiveHeader, tier.objective);
    forward(fairnessHeader, known ? tenant.name : unknownName);
  }
  return true;
}

/** The caller's tenant; whoever is unknown, says nothing or contradicts themselves is one of the unknown ones. */
function tenantOf(policy: RateLimitPolicy): Tenant {
  const tenants = policy.tenants;
  const name = findTenant(policy.identity);
  return name === null ? tenants.unknown : tenantNamed(tenants, name.ptr, name.bytes);
}

/** How much of the traffic the route's pods can take, as far as they are listened to: 1 is all of it. */
export function podsOpen(policy: RateLimitPolicy): f64 {
  const flow = policy.flow;
  return flow === null ? 1 : flow.share;
}

function shadowOf(policy: RateLimitPolicy): Tenant {
  return tenantNamed(policy.tenants, textPtr(shadowTenant), textBytes(shadowTenant));
}

function forward(name: Text, value: Text): void {
  setHeader(REQUEST_HEADERS, name, textPtr(value), textBytes(value));
}
