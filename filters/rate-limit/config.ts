import { Route } from "../document";
import {
  failJson,
  hasFailed,
  member,
  nextMember,
  openObject,
  readBool,
  readInteger,
  readNumber,
  unknownField,
} from "../format/json";
import { keepLabel, keepText, readLabel, readText } from "../format/values";
import { readSources } from "../identity";
import { Counter, countedBy } from "../report";
import { EXTENDED, Region, Text } from "../sdk";
import {
  addTenant,
  closeTenants,
  openTenants,
  releaseBuckets,
  Tenants,
  takeBuckets,
} from "./bucket/tenants";
import { Tier } from "./bucket/tier";
import { acquireFlow, Flow, releaseFlow } from "./in-flight/flow";
import { NO_LIMIT } from "./in-flight/in-flight";
import { bindOverload, parseOverload } from "./overload/overload-config";

const MAX_TIERS: i32 = 16;

/** Message RateLimitPolicy. */
@unmanaged
export class RateLimitPolicy {
  identity: usize;
  tiers: usize;
  tenants: Tenants;
  defaultTier: Text;
  forwardTenant: bool;
  forwardTier: bool;
  /** Requests in flight on the whole route; NO_LIMIT where there is no such limit. */
  concurrent: i32;
  /** The most of a limit's requests in flight that go to one variant, of 10,000. */
  variantShare: u32;
  /** Whether streams are followed to their end. */
  tracked: bool;
  /** Name of the route. */
  route: Text;
  /** Of the route, in the extended build. */
  flow: Flow | null;
  refusedFull: Counter;
  /** Whether schedulers are told the tier and the tenant. */
  forwardScheduler: bool;
  /** Message OverloadPolicy, or 0. */
  overload: usize;
  /** Proxies that a fleet-wide limit is made for; 0 where limits are the proxy's own. */
  proxies: u32;
  /** Whether callers without a known identity are refused. */
  refuseUnknown: bool;
  refusedUnknown: Counter;
}

export function parseRateLimit(region: Region): usize {
  const policy = changetype<RateLimitPolicy>(region.alloc(offsetof<RateLimitPolicy>()));
  policy.tenants = openTenants(region);
  if (EXTENDED) {
    policy.concurrent = NO_LIMIT;
    policy.variantShare = 5000;
  }
  openObject();
  while (nextMember()) {
    if (member("identity")) policy.identity = readSources(region);
    else if (member("tiers")) readTiers(policy, region);
    else if (member("tenants")) readTenants(policy, region);
    else if (member("default")) policy.defaultTier = readLabel(region);
    else if (member("forward")) readForward(policy);
    else if (EXTENDED && member("concurrent")) policy.concurrent = readConcurrent();
    else if (EXTENDED && member("variantPercent")) {
      policy.variantShare = readInteger(1, 100) * 100;
    } else if (EXTENDED && member("overload")) policy.overload = parseOverload(region);
    else if (EXTENDED && member("fleet")) policy.proxies = readFleet();
    else if (EXTENDED && member("refuseUnknown")) policy.refuseUnknown = readBool();
    else unknownField();
  }
  if (hasFailed()) return 0;
  if (policy.identity == 0) failJson("has no identity");
  else if (policy.defaultTier == 0) failJson("has no default tier");
  else if (!closeTenants(policy.tenants, policy.tiers, policy.defaultTier, region))
    failJson("names a tier that tiers does not have");
  return changetype<usize>(policy);
}

function readTiers(policy: RateLimitPolicy, region: Region): void {
  let count = 0;
  openObject();
  while (nextMember()) {
    const name = keepLabel(region);
    if (name == 0) return;
    if (++count > MAX_TIERS) failJson("is one tier too many: 16 are allowed");
    else {
      const tier = changetype<Tier>(region.alloc(offsetof<Tier>()));
      tier.name = name;
      readTier(tier, region);
      tier.next = policy.tiers;
      policy.tiers = changetype<usize>(tier);
    }
  }
}

function readTier(tier: Tier, region: Region): void {
  let rate: f64 = -1;
  let burst: f64 = 0;
  if (EXTENDED) tier.concurrent = NO_LIMIT;
  openObject();
  while (nextMember()) {
    if (member("requestsPerSecond")) {
      rate = readNumber(0, 1000000);
    } else if (member("burst")) {
      burst = readInteger(0, 1000000);
    } else if (EXTENDED && member("concurrent")) tier.concurrent = readConcurrent();
    else if (member("tokensPerMinute")) readInteger(0, 1000000000);
    else if (member("priority")) {
      const priority = readInteger(0, 100);
      if (EXTENDED) tier.priority = priority;
    } else if (EXTENDED && member("objective")) tier.objective = readText(region, 63);
    else if (EXTENDED && member("forbidden")) tier.forbidden = readBool();
    else unknownField();
  }
  if (hasFailed()) return;
  // A rate of 0 refuses all.
  if (rate <= 0) return;
  if (burst == 0) burst = Math.ceil(rate);
  tier.burst = <u32>burst;
  tier.intervalNs = <u64>Math.round(1000000000 / rate);
  tier.windowNs = tier.intervalNs * <u64>burst;
}

function readConcurrent(): i32 {
  return readInteger(0, 1000000);
}

/** Message Fleet: how many proxies share the limits, by which they start. */
function readFleet(): u32 {
  let proxies: u32 = 10;
  openObject();
  while (nextMember()) {
    if (!member("proxies")) unknownField();
    else proxies = readInteger(1, 10000);
  }
  return proxies;
}

function readTenants(policy: RateLimitPolicy, region: Region): void {
  openObject();
  while (nextMember()) {
    const name = keepText(region, 256);
    if (name != 0) addTenant(policy.tenants, name, readLabel(region), region);
  }
}

function readForward(policy: RateLimitPolicy): void {
  openObject();
  while (nextMember()) {
    if (member("tenant")) policy.forwardTenant = readBool();
    else if (member("tier")) policy.forwardTier = readBool();
    else if (EXTENDED && member("scheduler")) policy.forwardScheduler = readBool();
    else unknownField();
  }
}

export function bindRateLimit(at: usize, route: Route): void {
  const policy = changetype<RateLimitPolicy>(at);
  for (let tier = policy.tiers; tier != 0; tier = changetype<Tier>(tier).next) {
    const each = changetype<Tier>(tier);
    each.admitted = countedBy("rate_limit_admitted", route, "tier", each.name);
    each.refused = countedBy("rate_limit_refused", route, "tier", each.name);
  }
  if (EXTENDED && policy.proxies > 0)
    for (let at = policy.tiers; at != 0; at = changetype<Tier>(at).next)
      changetype<Tier>(at).startNs = changetype<Tier>(at).intervalNs * policy.proxies;
  takeBuckets(policy.tenants, route);
  if (EXTENDED) bindPlaces(policy, route);
}

/** What only streams that are followed to their end need. */
function bindPlaces(policy: RateLimitPolicy, route: Route): void {
  policy.route = route.name;
  const flow = acquireFlow(route.name);
  policy.flow = flow;
  bindOverload(policy.overload, flow);
  policy.tracked = policy.concurrent != NO_LIMIT || policy.overload != 0;
  if (policy.concurrent != NO_LIMIT) policy.refusedFull = countedBy("route_full", route, "tier", 0);
  if (policy.refuseUnknown) policy.refusedUnknown = countedBy("unauthenticated", route, "tier", 0);
  let lowest: u32 = u32.MAX_VALUE;
  for (let at = policy.tiers; at != 0; at = changetype<Tier>(at).next)
    lowest = min(lowest, max(changetype<Tier>(at).priority, 1));
  for (let at = policy.tiers; at != 0; at = changetype<Tier>(at).next) {
    const tier = changetype<Tier>(at);
    tier.weight = <f64>max(tier.priority, 1) / <f64>lowest;
    if (tier.objective == 0) tier.objective = tier.name;
    if (policy.overload != 0)
      tier.refusedOverload = countedBy("overload_refused", route, "tier", tier.name);
    if (tier.forbidden) tier.refusedForbidden = countedBy("forbidden", route, "tier", tier.name);
    if (tier.concurrent == NO_LIMIT) continue;
    policy.tracked = true;
    tier.refusedConcurrent = countedBy("concurrency_refused", route, "tier", tier.name);
  }
}

export function releaseRateLimit(at: usize): void {
  const policy = changetype<RateLimitPolicy>(at);
  releaseBuckets(policy.tenants);
  const flow = policy.flow;
  if (EXTENDED && flow !== null) releaseFlow(flow);
}
