import { xxh64 } from "../format/xxh64";
import {
  Ascii,
  addToGauge,
  allocate,
  beginText,
  defineGauge,
  gaugeValue,
  Text,
  textBytes,
  textPtr,
  write,
  writeHex,
  writeText,
  written,
  writtenBytes,
} from "../sdk";

/** A limit that is not there. */
export const NO_LIMIT: i32 = -1;

const UNDEFINED: u32 = 0;

/**
 * Requests in flight of one tenant or route. A gauge counts them for the whole
 * proxy: the host adds to it atomically, so each of two workers that race for
 * the last place sees both and none goes over the limit. Where the host keeps
 * no such gauge (statistics switched off), each worker limits for itself.
 */
@unmanaged
export class InFlight {
  /** Id of the gauge and 1; UNDEFINED until the first request. */
  gauge: u32;
  /** Those of this worker. */
  held: u32;
}

export function openInFlight(): InFlight {
  const made = changetype<InFlight>(allocate(offsetof<InFlight>()));
  made.gauge = UNDEFINED;
  made.held = 0;
  return made;
}

/** Counts one more request, unless that is more than `limit`. `key` and `label` name the gauge beside the route. */
export function enter(it: InFlight, limit: u32, route: Text, key: Ascii, label: Text): bool {
  if (it.gauge == UNDEFINED) it.gauge = define(route, key, label) + 1;
  it.held++;
  addToGauge(it.gauge - 1, 1);
  const all = max(gaugeValue(it.gauge - 1), <i64>it.held);
  if (all <= <i64>limit) return true;
  leave(it);
  return false;
}

/** Counts one less. */
export function leave(it: InFlight): void {
  it.held--;
  addToGauge(it.gauge - 1, -1);
}

/** "route=.=inference/chat;.;tenant=.=acme;.;weir_in_flight", as counters are named. */
function define(route: Text, key: Ascii, label: Text): u32 {
  beginText();
  write("route=.=");
  writeText(route);
  write(";.;");
  if (label != 0) {
    write(key);
    write("=.=");
    // A name that means something to whoever reads statistics stands there as its hash.
    if (isPlain(label)) writeText(label);
    else writeHex(xxh64(textPtr(label), textBytes(label), 0));
    write(";.;");
  }
  write("weir_in_flight");
  return defineGauge(written(), writtenBytes());
}

function isPlain(label: Text): bool {
  for (let i: usize = 0; i < textBytes(label); i++) {
    const c = load<u8>(textPtr(label) + i);
    const letter = (c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a;
    if (!letter && !(c >= 0x2d && c <= 0x3a) && c != 0x40 && c != 0x5f) return false;
  }
  return true;
}
