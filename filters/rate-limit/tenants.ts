import { xxh64 } from "../format/xxh64";
import { countedBy } from "../report";
import { isText, literal, Metric, Region, Text, textBytes, textPtr } from "../sdk";
import { acquireBucket, Bucket, releaseBucket } from "./bucket";
import { Tier, tierNamed } from "./tier";

/** A tenant of one route: its tier and its bucket. */
@unmanaged
export class Tenant {
  next: usize;
  name: Text;
  tierName: Text;
  tier: Tier;
  bucket: Bucket;
  /** Counter of its requests that were refused, or 0 where it has none of its own. */
  refused: usize;
}

/** The tenants of one route, found by name in constant time. */
@unmanaged
export class Tenants {
  list: usize;
  count: usize;
  slots: usize;
  mask: usize;
  /** Everyone else; one bucket for all of them. */
  others: Tenant;
}

/** Tenants of a route with a counter of their own: series have to be few, the names of tenants are not. */
const MOST_COUNTED: i32 = 32;

/** Name of those whom no one knows; not a name that a header can carry. */
const anonymous = literal("\0");

export function openTenants(region: Region): Tenants {
  return changetype<Tenants>(region.alloc(offsetof<Tenants>()));
}

export function addTenant(tenants: Tenants, name: Text, tierName: Text, region: Region): void {
  const tenant = changetype<Tenant>(region.alloc(offsetof<Tenant>()));
  tenant.name = name;
  tenant.tierName = tierName;
  tenant.next = tenants.list;
  tenants.list = changetype<usize>(tenant);
  tenants.count++;
}

/** Resolves the tiers and builds the index; false when a tier is not there. */
export function closeTenants(
  tenants: Tenants,
  tiers: usize,
  defaultTier: Text,
  region: Region,
): bool {
  let size: usize = 8;
  while (size < tenants.count << 1) size <<= 1;
  tenants.slots = region.alloc(size << 2);
  tenants.mask = size - 1;
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next) {
    const tenant = changetype<Tenant>(at);
    if (!resolve(tenant, tiers)) return false;
    let slot = slotOf(tenants, textPtr(tenant.name), textBytes(tenant.name));
    while (load<usize>(tenants.slots + (slot << 2)) != 0) slot = (slot + 1) & tenants.mask;
    store<usize>(tenants.slots + (slot << 2), at);
  }
  const others = changetype<Tenant>(region.alloc(offsetof<Tenant>()));
  others.name = anonymous;
  others.tierName = defaultTier;
  tenants.others = others;
  return resolve(others, tiers);
}

function resolve(tenant: Tenant, tiers: usize): bool {
  const tier = tierNamed(tiers, textPtr(tenant.tierName), textBytes(tenant.tierName));
  tenant.tier = changetype<Tier>(tier);
  return tier != 0;
}

function slotOf(tenants: Tenants, ptr: usize, bytes: usize): usize {
  return <usize>(xxh64(ptr, bytes, 0) >> 32) & tenants.mask;
}

/** The tenant of that name, or the others. */
export function tenantNamed(tenants: Tenants, ptr: usize, bytes: usize): Tenant {
  let slot = slotOf(tenants, ptr, bytes);
  while (true) {
    const at = load<usize>(tenants.slots + (slot << 2));
    if (at == 0) return tenants.others;
    if (isText(changetype<Tenant>(at).name, ptr, bytes)) return changetype<Tenant>(at);
    slot = (slot + 1) & tenants.mask;
  }
}

/** Takes each tenant's bucket, and counters for some of them; routes do not share them. */
export function takeBuckets(tenants: Tenants, route: Text): void {
  const seed = xxh64(textPtr(route), textBytes(route), 0);
  let counted: i32 = 0;
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next) {
    const tenant = changetype<Tenant>(at);
    takeBucket(tenant, seed);
    if (counted++ < MOST_COUNTED)
      tenant.refused = changetype<usize>(countedBy("tenant_refused", route, "tenant", tenant.name));
  }
  takeBucket(tenants.others, seed);
}

function takeBucket(tenant: Tenant, seed: u64): void {
  const bucket = acquireBucket(xxh64(textPtr(tenant.name), textBytes(tenant.name), seed));
  tenant.bucket = bucket;
  if (!FULL) return;
  bucket.fullNs = tenant.tier.intervalNs;
  bucket.startNs = tenant.tier.startNs;
  bucket.windowNs = tenant.tier.windowNs;
}

/** Counts a request of the tenant that was refused, for whatever reason. */
export function countRefused(tenant: Tenant): void {
  if (tenant.refused != 0) changetype<Metric>(tenant.refused).pending++;
}

export function releaseBuckets(tenants: Tenants): void {
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next)
    releaseBucket(changetype<Tenant>(at).bucket);
  releaseBucket(tenants.others.bucket);
}
