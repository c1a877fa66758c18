import { CanaryPolicy, variantName } from "../../canary/config";
import { xxh64 } from "../../format/xxh64";
import { allocateZeroed, metricValue, setGauge, Text, textBytes, textPtr } from "../../sdk";
import { count, define, InFlight, inFlight, leave, NO_LIMIT, Part } from "../in-flight/in-flight";

/** How long a variant counts as used after a request went to it. */
const USED_NS: u64 = 60_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/** Instead of a part: there is no limit, or it is held in full. */
export const NO_PART: usize = 0;
export const FULL_PART: usize = 1;

/** How many of a limit's requests one variant may have while others are used: `share` of 10,000, rounded up. */
export function limitOfVariant(limit: i32, share: u32): u32 {
  return <u32>((<u64>limit * share + 9999) / 10000);
}

/**
 * Counts a request, which `it` counts already, among those to its variant. While
 * other variants are used too, these are at most limitOfVariant. Others are used as long as they have a request in flight on the
 * proxy, or had one within a minute: a variant alone has all places.
 *
 * @param variant number of it in the canary's policy
 * @returns the part, NO_PART or FULL_PART
 */
export function enterPart(
  it: InFlight,
  limit: i32,
  share: u32,
  now: u64,
  route: Text,
  tenant: Text,
  canary: CanaryPolicy,
  variant: i32,
): usize {
  if (limit == NO_LIMIT) return NO_PART;
  const own = partOf(it, route, tenant, variantName(canary, variant));
  count(own);
  tellUse(own, now);
  if (inFlight(own) <= <i64>limitOfVariant(limit, share)) return changetype<usize>(own);
  let seen: u64 = 0;
  for (let i = 0; i < canary.variantCount; i++) {
    if (i == variant) continue;
    const other = partOf(it, route, tenant, variantName(canary, i));
    // Their own gauge is read: all less these would be wrong while another worker counts one.
    if (inFlight(other) > 0) own.othersNs = now;
    seen = max(seen, max(other.usedNs, <u64>metricValue(other.usedGauge - 1) * SECOND_NS));
  }
  // A clock that jumped back makes this a large number: then they were not seen.
  if (now - max(seen, own.othersNs) > USED_NS) return changetype<usize>(own);
  leave(own);
  return FULL_PART;
}

/** Notes that a request went to it, and tells the other workers so once a second. */
function tellUse(part: Part, now: u64): void {
  part.usedNs = now;
  if (now >= part.toldNs && now - part.toldNs < SECOND_NS) return;
  part.toldNs = now;
  setGauge(part.usedGauge - 1, now / SECOND_NS);
}

/** The part of a variant, made when it is first asked for. */
function partOf(it: InFlight, route: Text, tenant: Text, variant: Text): Part {
  const hash = xxh64(textPtr(variant), textBytes(variant), 0);
  for (let at = it.parts; at != 0; at = changetype<Part>(at).next)
    if (changetype<Part>(at).variant == hash) return changetype<Part>(at);
  const made = changetype<Part>(allocateZeroed(offsetof<Part>()));
  made.variant = hash;
  made.gauge = define(route, tenant, variant, "weir_variant_in_flight") + 1;
  made.usedGauge = define(route, tenant, variant, "weir_variant_used_seconds") + 1;
  made.next = it.parts;
  it.parts = changetype<usize>(made);
  return made;
}

/** Counts one less in what enterPart returned. */
export function leavePart(part: usize): void {
  if (part > FULL_PART) leave(changetype<Part>(part));
}
