import { xxh64 } from "../format/xxh64";
import { allocateZeroed, Text, textBytes, textPtr } from "../sdk";
import { count, define, InFlight, inFlight, leave, NO_LIMIT, Part } from "./in-flight";

/** How long a variant counts as used after a request went to it. */
const USED_NS: u64 = 60_000_000_000;

/** Instead of a part: there is no limit, or it is held in full. */
export const NO_PART: usize = 0;
export const FULL_PART: usize = 1;

/** How many the part may be that was entered last. */
export let most: u32 = 0;

/**
 * Counts a request, which `it` counts already, among those to its variant. While
 * other variants are used too, these are at most `share` of the limit, of 10,000,
 * rounded up. Others are used as long as they have a request in flight on the
 * proxy, or this worker saw one within a minute: a variant alone has all places.
 *
 * @returns the part, NO_PART or FULL_PART
 */
export function enterPart(
  it: InFlight,
  limit: i32,
  share: u32,
  now: u64,
  route: Text,
  tenant: Text,
  variant: Text,
): usize {
  if (limit == NO_LIMIT) return NO_PART;
  most = <u32>((<u64>limit * share + 9999) / 10000);
  const hash = xxh64(textPtr(variant), textBytes(variant), 0);
  let own: usize = 0;
  let used: u64 = 0;
  for (let at = it.parts; at != 0; at = changetype<Part>(at).next)
    if (changetype<Part>(at).variant == hash) own = at;
    else used = max(used, changetype<Part>(at).usedNs);
  if (own == 0) {
    own = allocateZeroed(offsetof<Part>());
    changetype<Part>(own).variant = hash;
    changetype<Part>(own).gauge = define(route, tenant, variant) + 1;
    changetype<Part>(own).next = it.parts;
    it.parts = own;
  }
  const part = changetype<Part>(own);
  count(part);
  part.usedNs = now;
  const all = inFlight(part);
  if (inFlight(it) > all) part.othersNs = now;
  // A clock that jumped back makes this a large number: then they were not seen.
  if (all <= <i64>most || now - max(used, part.othersNs) > USED_NS) return own;
  leave(part);
  return FULL_PART;
}

/** Counts one less in what enterPart returned. */
export function leavePart(part: usize): void {
  if (part > FULL_PART) leave(changetype<Part>(part));
}
