import { nowNs } from "../../sdk";
import { Bucket } from "./bucket";
import { available, clampTat, waitNs } from "./gcra";
import { EMPTY, LEASED, lease, leased, leaseWaitNs } from "./shared-bucket";
import { Tier } from "./tier";

/** When the last request was refused: time until the next one would be admitted. */
export let refusedForNs: u64 = 0;

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
 */
export function admit(bucket: Bucket, tier: Tier): bool {
  if (tier.intervalNs == 0) {
    refusedForNs = FOREVER_NS;
    return false;
  }
  if (FULL) {
    bucket.alone = false;
    if (tier.startNs != 0) bucket.wanted++;
  }
  if (bucket.tokens > 0) {
    bucket.tokens--;
    return true;
  }
  const now = nowNs();
  const empty = bucket.emptyUntilNs;
  // A wait longer than the bucket takes to fill comes from a clock that jumped.
  if (empty > now && empty - now <= tier.windowNs) {
    refusedForNs = empty - now;
    if (FULL && tier.startNs != 0 && bucket.readyNs > empty) refusedForNs = bucket.readyNs - now;
    return false;
  }
  const result = lease(
    bucket.fingerprint,
    now,
    tier.intervalNs,
    tier.windowNs,
    FULL ? tier.startNs : 0,
  );
  if (result == LEASED) {
    bucket.tokens = leased - 1;
    // A lease that emptied the bucket tells as well until when there is no use in asking.
    bucket.emptyUntilNs = FULL && tier.startNs != 0 ? 0 : now + leaseWaitNs;
    return true;
  }
  if (result == EMPTY) {
    bucket.emptyUntilNs = now + leaseWaitNs;
    if (FULL && tier.startNs != 0) {
      // A larger share may be assigned at any time: do not wait long before looking again.
      bucket.readyNs = now + leaseWaitNs;
      bucket.emptyUntilNs = now + min(leaseWaitNs, LOOK_AGAIN_NS);
    }
    refusedForNs = leaseWaitNs;
    return false;
  }
  return admitAlone(bucket, tier, now);
}

function admitAlone(bucket: Bucket, tier: Tier, now: u64): bool {
  const fleet = FULL && tier.startNs != 0;
  const intervalNs = fleet ? tier.startNs : tier.intervalNs;
  const windowNs = fleet ? max(tier.windowNs, intervalNs) : tier.windowNs;
  const tat = clampTat(bucket.ownTatNs, now, windowNs);
  if (available(tat, now, intervalNs, windowNs) == 0) {
    refusedForNs = waitNs(tat, now, intervalNs, windowNs);
    return false;
  }
  bucket.ownTatNs = tat + intervalNs;
  if (FULL) bucket.alone = true;
  return true;
}
