import { literal, nowNs, REQUEST_HEADERS, setHeader, Text, textBytes, textPtr } from "../sdk";
import { RateLimitPolicy } from "./config";
import { drainNs, Flow } from "./flow";
import { enter, leave, NO_LIMIT } from "./in-flight";
import { giveBack } from "./limiter";
import { letIn, refresh, reliefNs } from "./overload";
import { CONCURRENT, OVERLOAD, ROUTE_FULL, refuse } from "./refusal";
import { openSlot } from "./slots";
import { Tenant } from "./tenants";

const loadFormat: Text = FULL ? literal("endpoint-load-metrics-format") : 0;
const asText: Text = FULL ? literal("TEXT") : 0;
/** What strangers are called where a name is needed. */
export const others: Text = FULL ? literal("others") : 0;

/**
 * Takes a place among the tenant's and the route's requests in flight until the
 * stream ends, or answers the request; false when it was answered. Who is
 * refused here gets the request token back that was taken for it.
 */
export function takePlace(policy: RateLimitPolicy, tenant: Tenant, context: u32): bool {
  const flow = changetype<Flow>(policy.flow);
  const tier = tenant.tier;
  if (flow.listens) {
    refresh(flow, nowNs());
    if (!letIn(flow, tier)) {
      tier.refusedOverload.pending++;
      giveBack(tenant.bucket, tier);
      refuse(OVERLOAD, tier, reliefNs(flow), 0);
      return false;
    }
  }
  const ofRoute = policy.concurrent;
  if (ofRoute != NO_LIMIT && !enter(flow.inFlight, ofRoute, policy.route, "", 0)) {
    policy.refusedFull.pending++;
    giveBack(tenant.bucket, tier);
    refuse(ROUTE_FULL, tier, drainNs(flow, ofRoute), ofRoute);
    return false;
  }
  const own = tier.concurrent;
  const label = tenant == policy.tenants.others ? others : tenant.name;
  if (own != NO_LIMIT && !enter(tenant.bucket.inFlight, own, policy.route, "tenant", label)) {
    if (ofRoute != NO_LIMIT) leave(flow.inFlight);
    tier.refusedConcurrent.pending++;
    giveBack(tenant.bucket, tier);
    refuse(CONCURRENT, tier, drainNs(flow, own), own);
    return false;
  }
  if (policy.tracked)
    openSlot(
      context,
      own == NO_LIMIT ? 0 : changetype<usize>(tenant.bucket),
      flow,
      ofRoute != NO_LIMIT,
    );
  // Model servers tell their load only where they are asked to.
  if (flow.listens) setHeader(REQUEST_HEADERS, loadFormat, textPtr(asText), textBytes(asText));
  return true;
}
