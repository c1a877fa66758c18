import { EXTENDED, nowNs } from "../../sdk";
import { Bucket } from "./bucket";
import { available, clampTat, waitNs } from "./gcra";
import { EMPTY, LEASED, Lease, lease } from "./shared-bucket";
import { isFleetWide, Tier } from "./tier";

const newLease = changetype<Lease>(memory.data(<i32>offsetof<Lease>(), 8));

/** What admit returns for a request that it admits. */
export const ADMITTED: u64 = 0;

/** Gives back the token that the bucket's last request took. */
export function giveBack(bucket: Bucket, tier: Tier): void {
  if (bucket.alone) bucket.ownTatNs -= tier.startNs != 0 ? tier.startNs : tier.intervalNs;
  else bucket.tokens++;
}

const FOREVER_NS: u64 = 60_000_000_000;
const LOOK_AGAIN_NS: u64 = 200_000_000;

/**
 * Admits or refuses one request of a bucket. The limit holds for the proxy:
 * a worker spends tokens that it leased from the bucket all workers share.
 * In any time T a proxy admits at most rate x T + burst + the leases its
 * workers hold (an eighth of the burst each), whatever the load's skew; idle
 * leases stay with their worker, which costs at most their sum once.
 * Should shared data fail, each worker limits for itself at the full rate.
 *
 * @returns ADMITTED, or the time until the next request would be
 */
export function admit(bucket: Bucket, tier: Tier): u64 {
  if (tier.intervalNs == 0) return FOREVER_NS;
  if (EXTENDED) {
    bucket.alone = false;
    if (isFleetWide(tier)) bucket.requestsSinceTick++;
  }
  if (bucket.tokens > 0) {
    bucket.tokens--;
    return ADMITTED;
  }
  const now = nowNs();
  const empty = bucket.emptyUntilNs;
  // A wait longer than the bucket takes to fill comes from a clock that jumped.
  if (empty > now && empty - now <= tier.windowNs) {
    if (isFleetWide(tier) && bucket.readyNs > empty) return bucket.readyNs - now;
    return empty - now;
  }
  const result = lease(
    newLease,
    bucket.fingerprint,
    now,
    tier.intervalNs,
    tier.windowNs,
    tier.startNs,
  );
  if (result == LEASED) {
    bucket.tokens = newLease.tokens - 1;
    // A lease that emptied the bucket tells as well until when there is no use in asking.
    bucket.emptyUntilNs = isFleetWide(tier) ? 0 : now + newLease.waitNs;
    return ADMITTED;
  }
  if (result == EMPTY) {
    bucket.emptyUntilNs = now + newLease.waitNs;
    if (isFleetWide(tier)) {
      // A larger share may be assigned at any time: do not wait long before looking again.
      bucket.readyNs = now + newLease.waitNs;
      bucket.emptyUntilNs = now + min(newLease.waitNs, LOOK_AGAIN_NS);
    }
    return newLease.waitNs;
  }
  return admitAlone(bucket, tier, now);
}

function admitAlone(bucket: Bucket, tier: Tier, now: u64): u64 {
  const fleet = isFleetWide(tier);
  const intervalNs = fleet ? tier.startNs : tier.intervalNs;
  const windowNs = fleet ? max(tier.windowNs, intervalNs) : tier.windowNs;
  const tat = clampTat(bucket.ownTatNs, now, windowNs);
  if (available(tat, now, intervalNs, windowNs) == 0) return waitNs(tat, now, intervalNs, windowNs);
  bucket.ownTatNs = tat + intervalNs;
  if (EXTENDED) bucket.alone = true;
  return ADMITTED;
}
