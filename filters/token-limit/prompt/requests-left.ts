import { nowNs, readShared, sharedBytes, sharedPtr } from "../../sdk";
import { Tier } from "../tier";

// The buckets of requests are weir.wasm's: 4,096 keys of four ways in shared
// data, each way a fingerprint, the time at which all tokens are back, and in
// weir-full.wasm's ("weir.f", not "weir.b") the proxy's share of a fleet's limit
// as nanoseconds between requests. They are read here and never written. What
// workers hold as leases is not in them: clients are told rather too few.
const SETS: u64 = 4096;
const WAYS: usize = 4;

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0, 0, 0]); // "weir.", the kind and the set
const KEY: usize = 8;

/** Requests that may come at once now, and milliseconds until it is the whole burst again. */
export let requestsLeft: u32 = 0;
export let requestsResetMs: u64 = 0;

/** Looks at what is left of a limit on requests; false when nothing is known of it. */
export function lookAtRequests(bucket: u64, tier: Tier, proxies: u32): bool {
  return lookAt(bucket, tier, proxies, 0x66, 24) || lookAt(bucket, tier, proxies, 0x62, 16);
}

function lookAt(bucket: u64, tier: Tier, proxies: u32, kind: u8, way: usize): bool {
  store<u8>(key, kind, 5);
  store<u16>(key, <u16>((bucket >> 32) & (SETS - 1)), 6);
  readShared(key, KEY);
  if (sharedBytes != WAYS * way) return false;
  let at = sharedPtr;
  const end = at + sharedBytes;
  while (at < end && load<u64>(at) != bucket) at += way;
  if (at == end) return false;
  let intervalNs = tier.intervalNs;
  let windowNs = intervalNs * tier.burst;
  if (proxies != 0 && way > 16) {
    const share = load<u64>(at, 16);
    intervalNs = share == 0 ? intervalNs * proxies : share;
    windowNs = max(windowNs, intervalNs);
  }
  const now = nowNs();
  const full = load<u64>(at, 8);
  const missing = full > now ? full - now : 0;
  requestsLeft = missing >= windowNs ? 0 : <u32>min((windowNs - missing) / intervalNs, tier.burst);
  requestsResetMs = (min(missing, windowNs) + 999_999) / 1_000_000;
  return true;
}
