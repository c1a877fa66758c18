import { found, nowNs } from "../../sdk";
import {
  BUCKET_WAYS,
  BUCKETS,
  BucketWay,
  FLEET_BUCKETS,
  FLEET_WAY_BYTES,
  peekSet,
  WAY_BYTES,
} from "../../shared-table";
import { Stream } from "../stream";
import { Tier } from "../tier";

// The buckets of requests are those of weir.wasm or weir-full.wasm: they are read
// here and never written. What workers hold as leases is not in them: clients are
// told rather too few.

/** Notes what is left of a limit on requests; false when nothing is known of it. */
export function lookAtRequests(into: Stream, bucket: u64, tier: Tier, proxies: u32): bool {
  return (
    lookAt(into, bucket, tier, proxies, FLEET_BUCKETS, FLEET_WAY_BYTES) ||
    lookAt(into, bucket, tier, proxies, BUCKETS, WAY_BYTES)
  );
}

function lookAt(
  into: Stream,
  bucket: u64,
  tier: Tier,
  proxies: u32,
  table: u8,
  wayBytes: usize,
): bool {
  peekSet(table, bucket);
  if (found.bytes != BUCKET_WAYS * wayBytes) return false;
  let at = found.ptr;
  const end = at + found.bytes;
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
  into.burst = tier.burst;
  into.requestsLeft =
    missing >= windowNs ? 0 : <u32>min((windowNs - missing) / intervalNs, tier.burst);
  into.requestsResetMs = (min(missing, windowNs) + 999_999) / 1_000_000;
  return true;
}
