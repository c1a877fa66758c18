import { COLON, HYPHEN, UNDERSCORE } from "../../format/ascii-codes";
import { xxh64 } from "../../format/xxh64";
import { ownMetricOf, writeTag } from "../../report";
import {
  Ascii,
  addToMetric,
  allocateZeroed,
  beginText,
  GAUGE,
  metricValue,
  release,
  Text,
  textBytes,
  textPtr,
  write,
  writeHex,
  writeText,
} from "../../sdk";

/** A limit that is not there. */
export const NO_LIMIT: i32 = -1;

const UNDEFINED: u32 = 0;

/**
 * Requests in flight of one tenant or route. A gauge counts them for the whole
 * proxy: the host adds to it atomically, so each of two workers that race for
 * the last place sees both and none goes over the limit. Where the host keeps
 * no such gauge (statistics switched off, or too many metrics), each worker
 * limits for itself.
 */
@unmanaged
export class InFlight {
  /** Id of the gauge and 1; UNDEFINED until the first request. */
  gauge: u32;
  /** Those of this worker. */
  held: u32;
  /** The same by variant, the first of them; see ../concurrency/variant-places. */
  parts: usize;
}

/** Those of them that go to one variant. */
@unmanaged
export class Part extends InFlight {
  next: usize;
  /** Hash of the variant's name. */
  variant: u64;
  /** When this worker last let a request to it in, and when it last saw that there are others. */
  usedNs: u64;
  othersNs: u64;
  /** Id of the gauge that tells all workers in which second one did, and 1; and when this worker set it. */
  usedGauge: u32;
  toldNs: u64;
}

export function openInFlight(): InFlight {
  return changetype<InFlight>(allocateZeroed(offsetof<InFlight>()));
}

/** Frees what openInFlight made; no stream may hold a place of it any more. */
export function closeInFlight(it: InFlight): void {
  for (let at = it.parts; at != 0; ) {
    const next = changetype<Part>(at).next;
    release(at);
    at = next;
  }
  release(changetype<usize>(it));
}

/** Counts one more request, unless that is more than `limit`. The tenant names the gauge beside the route, if it is one's. */
export function enter(it: InFlight, limit: u32, route: Text, tenant: Text): bool {
  if (it.gauge == UNDEFINED) it.gauge = define(route, tenant, 0, "weir_in_flight") + 1;
  count(it);
  if (inFlight(it) <= <i64>limit) return true;
  leave(it);
  return false;
}

/** Counts one more. */
export function count(it: InFlight): void {
  it.held++;
  addToMetric(it.gauge - 1, 1);
}

/** How many are counted on the whole proxy. */
export function inFlight(it: InFlight): i64 {
  return max(metricValue(it.gauge - 1), <i64>it.held);
}

/** Counts one less. */
export function leave(it: InFlight): void {
  it.held--;
  addToMetric(it.gauge - 1, -1);
}

/**
 * "route=.=inference/chat;.;tenant=.=acme;.;weir_in_flight", as counters are
 * named; of one variant "...;variant=.=canary;.;weir_variant_in_flight".
 */
export function define(route: Text, tenant: Text, variant: Text, name: Ascii): u32 {
  beginText();
  writeTag("route", route);
  if (tenant != 0) {
    write("tenant=.=");
    // A name that means something to whoever reads statistics stands there as its hash.
    if (isPlain(tenant)) writeText(tenant);
    else writeHex(xxh64(textPtr(tenant), textBytes(tenant), 0));
    write(";.;");
  }
  if (variant != 0) writeTag("variant", variant);
  write(name);
  return ownMetricOf(GAUGE);
}

function isPlain(label: Text): bool {
  for (let i: usize = 0; i < textBytes(label); i++) {
    const c = load<u8>(textPtr(label) + i);
    const letter = (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a;
    if (!letter && !(c >= HYPHEN && c <= COLON) && c != 0x40 && c != UNDERSCORE) return false;
  }
  return true;
}
