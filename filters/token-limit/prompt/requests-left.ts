import { nowNs, shared } from "../../sdk";
import {
  BUCKET_WAYS,
  BUCKETS,
  BucketWay,
  FLEET_BUCKETS,
  FLEET_WAY_BYTES,
  peekSet,
  WAY_BYTES,
} from "../../shared-table";
import { Tier } from "../tier";

// The buckets of requests are those of weir.wasm or weir-full.wasm: they are read
// here and never written. What workers hold as leases is not in them: clients are
// told rather too few.

/** Requests that may come at once now, and milliseconds until it is the whole burst again. */
export let requestsLeft: u32 = 0;
export let requestsResetMs: u64 = 0;

/** Looks at what is left of a limit on requests; false when nothing is known of it. */
export function lookAtRequests(bucket: u64, tier: Tier, proxies: u32): bool {
  return (
    lookAt(bucket, tier, proxies, FLEET_BUCKETS, FLEET_WAY_BYTES) ||
    lookAt(bucket, tier, proxies, BUCKETS, WAY_BYTES)
  );
}

function lookAt(bucket: u64, tier: Tier, proxies: u32, table: u8, wayBytes: usize): bool {
  peekSet(table, bucket);
  if (shared.bytes != BUCKET_WAYS * wayBytes) return false;
  let at = shared.ptr;
  const end = at + shared.bytes;
  while (at < end && changetype<BucketWay>(at).name != bucket) at += wayBytes;
  if (at == end) return false;
  const way = changetype<BucketWay>(at);
  let intervalNs = tier.intervalNs;
  let windowNs = intervalNs * tier.burst;
  if (proxies != 0 && wayBytes == FLEET_WAY_BYTES) {
    intervalNs = way.shareNs == 0 ? intervalNs * proxies : way.shareNs;
    windowNs = max(windowNs, intervalNs);
  }
  const now = nowNs();
  const missing = way.tatNs > now ? way.tatNs - now : 0;
  requestsLeft = missing >= windowNs ? 0 : <u32>min((windowNs - missing) / intervalNs, tier.burst);
  requestsResetMs = (min(missing, windowNs) + 999_999) / 1_000_000;
  return true;
}
