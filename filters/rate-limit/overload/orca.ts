import {
  CLOSE_BRACE,
  COLON,
  DOT,
  EQUALS,
  HYPHEN,
  NINE,
  OPEN_BRACE,
  SPACE,
  UNDERSCORE,
  ZERO,
} from "../../format/ascii-codes";
import { DecodedNumber, decodeNumber } from "../../format/json-number";
import { Ascii, isLiteral } from "../../sdk";

// Open Request Cost Aggregation: a pod tells its load in the answer's header
// endpoint-load-metrics, as "TEXT name=value, map.name=value" or as
// "JSON {"name": value, "map": {"name": value}}". Model servers name the same
// thing differently; the names known here are vLLM's and Triton's.

/** The load of a pod that answered; negative where it does not tell. */
@unmanaged
export class PodLoad {
  /** Requests that wait. */
  queueDepth: f64;
  /** Shares of one. */
  kvCacheUse: f64;
  gpuUse: f64;
}

const number = changetype<DecodedNumber>(memory.data(<i32>offsetof<DecodedNumber>(), 8));

/** Reads a header value; false when it holds nothing that is known here. */
export function readLoad(ptr: usize, bytes: usize, into: PodLoad): bool {
  into.queueDepth = -1;
  into.kvCacheUse = -1;
  into.gpuUse = -1;
  const end = ptr + bytes;
  // One scan serves both forms: a name is what stands before "=" or ":", without quotes.
  let name = ptr;
  let nameEnd = ptr;
  let inUtilization: bool = false;
  for (let at = ptr; at < end; ) {
    const c = load<u8>(at);
    if (c == EQUALS || c == COLON) {
      at++;
      while (at < end && load<u8>(at) == SPACE) at++;
      if (at < end && load<u8>(at) == OPEN_BRACE) {
        inUtilization = isNamed("utilization", name, nameEnd);
        at++;
      } else if (decodeNumber(at, end, number)) {
        note(name, nameEnd, inUtilization, number.value, into);
        at = max(number.end, at + 1);
      }
      nameEnd = name = at;
    } else {
      if (c == CLOSE_BRACE) inUtilization = false;
      if (isWord(c)) {
        if (nameEnd < at) name = at;
        nameEnd = at + 1;
      }
      at++;
    }
  }
  return into.queueDepth >= 0 || into.kvCacheUse >= 0 || into.gpuUse >= 0;
}

function isWord(c: u8): bool {
  return (
    ((c | 0x20) >= 0x61 && (c | 0x20) <= 0x7a) ||
    (c >= ZERO && c <= NINE) ||
    c == UNDERSCORE ||
    c == DOT ||
    c == HYPHEN
  );
}

function isNamed(name: Ascii, from: usize, to: usize): bool {
  return isLiteral(name, from, to - from);
}

function note(from: usize, to: usize, inUtilization: bool, value: f64, into: PodLoad): void {
  if (!(value >= 0)) return;
  let last = to;
  while (last > from && load<u8>(last - 1) != DOT) last--;
  if (isNamed("num_requests_waiting", last, to) || isNamed("queue_depth", last, to))
    into.queueDepth = max(into.queueDepth, value);
  else if (
    isNamed("kv_cache_usage_perc", last, to) ||
    isNamed("kv_cache_utilization", last, to) ||
    isNamed("gpu_cache_usage_perc", last, to)
  )
    into.kvCacheUse = max(into.kvCacheUse, share(value));
  else if (isNamed("utilization.gpu", from, to) || (inUtilization && isNamed("gpu", last, to)))
    into.gpuUse = max(into.gpuUse, share(value));
}

/** A share of one; some servers write percent. */
function share(value: f64): f64 {
  return value > 1.5 ? value / 100 : value;
}
