import { Route } from "../../document";
import { xxh64 } from "../../format/xxh64";
import { unknownTenant } from "../../identity";
import { Counter, countedBy } from "../../report";
import {
  addTo,
  EXTENDED,
  isText,
  openTable,
  Region,
  Table,
  Text,
  textBytes,
  textPtr,
  valueIn,
} from "../../sdk";
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
  byName: Table;
  /** Whom the route does not name: one bucket for all of them. */
  unknown: Tenant;
}

/** Tenants of a route with a counter of their own: series have to be few, the names of tenants are not. */
const MAX_COUNTED: i32 = 32;

export function openTenants(region: Region): Tenants {
  return changetype<Tenants>(region.alloc(offsetof<Tenants>()));
}

export function addTenant(tenants: Tenants, name: Text, tierName: Text, region: Region): void {
  const tenant = changetype<Tenant>(region.alloc(offsetof<Tenant>()));
  tenant.name = name;
  tenant.tierName = tierName;
  tenant.next = tenants.list;
  tenants.list = changetype<usize>(tenant);
}

/** Resolves the tiers and builds the index; false when a tier is not there. */
export function closeTenants(
  tenants: Tenants,
  tiers: usize,
  defaultTier: Text,
  region: Region,
): bool {
  tenants.byName = openTable(region);
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next) {
    const tenant = changetype<Tenant>(at);
    if (!resolve(tenant, tiers)) return false;
    addTo(tenants.byName, xxh64(textPtr(tenant.name), textBytes(tenant.name), 0), at);
  }
  const unknown = changetype<Tenant>(region.alloc(offsetof<Tenant>()));
  unknown.name = unknownTenant;
  unknown.tierName = defaultTier;
  tenants.unknown = unknown;
  return resolve(unknown, tiers);
}

function resolve(tenant: Tenant, tiers: usize): bool {
  const tier = tierNamed(tiers, textPtr(tenant.tierName), textBytes(tenant.tierName));
  if (tier === null) return false;
  tenant.tier = tier;
  return true;
}

/** The tenant of that name, or the one that stands for all unknown ones. */
export function tenantNamed(tenants: Tenants, ptr: usize, bytes: usize): Tenant {
  const at = valueIn(tenants.byName, xxh64(ptr, bytes, 0));
  // Names are of the client's making, and so are their hashes.
  return at != 0 && isText(changetype<Tenant>(at).name, ptr, bytes)
    ? changetype<Tenant>(at)
    : tenants.unknown;
}

/** Takes each tenant's bucket, and counters for some of them; routes do not share them. */
export function takeBuckets(tenants: Tenants, route: Route): void {
  const seed = xxh64(textPtr(route.name), textBytes(route.name), 0);
  let counted: i32 = 0;
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next) {
    const tenant = changetype<Tenant>(at);
    takeBucket(tenant, seed);
    if (counted++ < MAX_COUNTED)
      tenant.refused = changetype<usize>(countedBy("tenant_refused", route, "tenant", tenant.name));
  }
  takeBucket(tenants.unknown, seed);
}

function takeBucket(tenant: Tenant, seed: u64): void {
  const bucket = acquireBucket(xxh64(textPtr(tenant.name), textBytes(tenant.name), seed));
  tenant.bucket = bucket;
  if (!EXTENDED) return;
  bucket.fullNs = tenant.tier.intervalNs;
  bucket.startNs = tenant.tier.startNs;
  bucket.windowNs = tenant.tier.windowNs;
}

/** Counts a request of the tenant that was refused, for whatever reason. */
export function countRefused(tenant: Tenant): void {
  if (tenant.refused != 0) changetype<Counter>(tenant.refused).pending++;
}

export function releaseBuckets(tenants: Tenants): void {
  for (let at = tenants.list; at != 0; at = changetype<Tenant>(at).next)
    releaseBucket(changetype<Tenant>(at).bucket);
  releaseBucket(tenants.unknown.bucket);
}
