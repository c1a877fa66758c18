import { CanaryPolicy, variantWeight } from "../../canary/config";
import { EXTENDED, literal, nowNs, Text } from "../../sdk";
import { Bucket } from "../bucket/bucket";
import { giveBack } from "../bucket/limiter";
import { countRefused, Tenant } from "../bucket/tenants";
import { RateLimitPolicy } from "../config";
import { askForLoad } from "../in-flight/ask";
import { drainNs, Flow } from "../in-flight/flow";
import { enter, leave, NO_LIMIT } from "../in-flight/in-flight";
import { letIn, refresh, reliefNs } from "../overload/overload";
import { CONCURRENT, OVERLOAD, ROUTE_FULL, refuse } from "../refusal";
import { endSlot, openSlot, slotOf } from "./stream-table";
import { enterPart, FULL_PART, limitOfVariant } from "./variant-places";

/** What unknown tenants are called where a name is needed. */
export const unknownName: Text = EXTENDED ? literal("unknown") : 0;

function nameOf(policy: RateLimitPolicy, tenant: Tenant): Text {
  return tenant == policy.tenants.unknown ? unknownName : tenant.name;
}

/**
 * Takes a place among the tenant's and the route's requests in flight until the
 * stream ends, or answers the request; false when it was answered. Who is
 * refused here gets the request token back that was taken for it.
 */
export function takePlace(policy: RateLimitPolicy, tenant: Tenant, context: u32): bool {
  const flow = policy.flow as Flow;
  const tier = tenant.tier;
  const now = policy.tracked ? nowNs() : 0;
  if (flow.listens) {
    refresh(flow, now);
    if (!letIn(flow, tier)) {
      tier.refusedOverload.pending++;
      giveBack(tenant.bucket, tier);
      refuse(OVERLOAD, tier, reliefNs(flow), 0);
      return false;
    }
  }
  const ofRoute = policy.concurrent;
  if (ofRoute != NO_LIMIT && !enter(flow.inFlight, ofRoute, policy.route, 0)) {
    policy.refusedFull.pending++;
    giveBack(tenant.bucket, tier);
    refuse(ROUTE_FULL, tier, drainNs(flow, ofRoute), ofRoute);
    return false;
  }
  const own = tier.concurrent;
  const label = nameOf(policy, tenant);
  if (own != NO_LIMIT && !enter(tenant.bucket.inFlight, own, policy.route, label)) {
    if (ofRoute != NO_LIMIT) leave(flow.inFlight);
    tier.refusedConcurrent.pending++;
    giveBack(tenant.bucket, tier);
    refuse(CONCURRENT, tier, drainNs(flow, own), own);
    return false;
  }
  if (policy.tracked) {
    const bucket: Bucket | null = own == NO_LIMIT ? null : tenant.bucket;
    openSlot(context, bucket, flow, ofRoute != NO_LIMIT, now);
  }
  if (flow.listens) askForLoad(flow, now);
  placed = tenant;
  placedNs = now;
  return true;
}

/** Whose the request is that took its place last, and when. */
let placed: Tenant = changetype<Tenant>(0);
let placedNs: u64 = 0;

/**
 * Counts the request that took its place last among those to its variant, or
 * answers it and frees the place; false when it was answered.
 */
export function takePart(
  policy: RateLimitPolicy,
  context: u32,
  canary: CanaryPolicy,
  variant: i32,
): bool {
  const slot = slotOf(context);
  if (slot === null) return true;
  const flow = slot.flow;
  const tier = placed.tier;
  const bucket = placed.bucket;
  const share = max(policy.variantShare, variantWeight(canary, variant));
  const route = policy.route;
  const now = placedNs;
  const ofRoute = policy.concurrent;
  let cause = ROUTE_FULL;
  let limit = ofRoute;
  slot.flowPart = enterPart(flow.inFlight, ofRoute, share, now, route, 0, canary, variant);
  if (slot.flowPart == FULL_PART) policy.refusedFull.pending++;
  else {
    const tenant = nameOf(policy, placed);
    const own = tier.concurrent;
    slot.bucketPart = enterPart(bucket.inFlight, own, share, now, route, tenant, canary, variant);
    if (slot.bucketPart != FULL_PART) return true;
    tier.refusedConcurrent.pending++;
    cause = CONCURRENT;
    limit = own;
  }
  tier.admitted.pending--;
  countRefused(placed);
  giveBack(bucket, tier);
  endSlot(context);
  // It never was under way, and says nothing of how long others are.
  flow.ended--;
  const places = limitOfVariant(limit, share);
  refuse(cause, tier, drainNs(flow, places), places);
  return false;
}
