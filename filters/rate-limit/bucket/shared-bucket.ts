import { CAS_MISMATCH, EXTENDED, OK } from "../../sdk";
import {
  BUCKET_WAYS,
  BUCKETS,
  BucketWay,
  FLEET_BUCKETS,
  FLEET_WAY_BYTES,
  MAX_TRIES,
  readSet,
  WAY_BYTES,
  wayIn,
  writeSet,
} from "../../shared-table";
import { available, clampTat, waitNs } from "./gcra";

// The buckets of the whole proxy, in a table that all workers share; with fleet
// limits each has the proxy's share beside it.
const TABLE: u8 = EXTENDED ? FLEET_BUCKETS : BUCKETS;
const WAY: usize = EXTENDED ? FLEET_WAY_BYTES : WAY_BYTES;
const SET: usize = BUCKET_WAYS * WAY;

/** A worker takes an eighth of what is there, so that it asks seldom and strands little. */
const LEASE_SHARE: u64 = 8;
const MAX_LEASE: u64 = 65536;

const set: usize = memory.data(<i32>SET, 8);

/** What a lease brought. */
@unmanaged
export class Lease {
  tokens: i32;
  /** Time until the bucket holds another token, after the lease or instead of one. */
  waitNs: u64;
}

/** What came of a lease. */
export const LEASED: i32 = 0;
export const EMPTY: i32 = 1;
/** Shared data failed or stayed contended; the caller falls back to its own bucket. */
const UNAVAILABLE: i32 = 2;

/**
 * Takes tokens from the proxy's bucket by compare-and-set.
 *
 * @param into what it brought; `waitNs` where it is EMPTY, nothing where it is UNAVAILABLE
 * @param startNs of a fleet-wide limit the interval until a share is assigned; else 0
 */
export function lease(
  into: Lease,
  fingerprint: u64,
  nowNs: u64,
  fullNs: u64,
  fullWindowNs: u64,
  startNs: u64,
): i32 {
  for (let i = 0; i < MAX_TRIES; i++) {
    const way = readWay(fingerprint);
    let intervalNs = fullNs;
    let windowNs = fullWindowNs;
    if (EXTENDED && startNs != 0) {
      intervalNs = shareIn(way, fingerprint, startNs);
      windowNs = max(windowNs, intervalNs);
    }
    const tat = clampTat(way.tatNs, nowNs, windowNs);
    const there = available(tat, nowNs, intervalNs, windowNs);
    if (there == 0) {
      into.waitNs = waitNs(tat, nowNs, intervalNs, windowNs);
      return EMPTY;
    }
    const take = min(max(there / LEASE_SHARE, 1), MAX_LEASE);
    claim(way, fingerprint);
    const next = tat + take * intervalNs;
    way.tatNs = next;
    const status = writeSet(TABLE, fingerprint, set, SET);
    into.tokens = <i32>take;
    into.waitNs = waitNs(next, nowNs, intervalNs, windowNs);
    if (status == OK) return LEASED;
    if (status != CAS_MISMATCH) return UNAVAILABLE;
  }
  return UNAVAILABLE;
}

function readWay(fingerprint: u64): BucketWay {
  readSet(TABLE, fingerprint, set, SET);
  return changetype<BucketWay>(wayIn(set, SET, WAY, fingerprint));
}

function claim(way: BucketWay, fingerprint: u64): void {
  // Who is pushed out takes its share along.
  if (EXTENDED && way.name != fingerprint) way.shareNs = 0;
  way.name = fingerprint;
}

function shareIn(way: BucketWay, fingerprint: u64, startNs: u64): u64 {
  const share = way.name == fingerprint ? way.shareNs : 0;
  return share == 0 ? startNs : share;
}

/** The share of a bucket as nanoseconds between requests, 0 where none is assigned. */
export function shareOf(fingerprint: u64): u64 {
  return shareIn(readWay(fingerprint), fingerprint, 0);
}

/**
 * Assigns a share; 0 takes it away. The tokens that are in the bucket stay: a
 * larger share begins with no more than there was, and a smaller one keeps what
 * it has room for. So nothing is gained by moving shares about.
 */
export function assignShare(
  fingerprint: u64,
  shareNs: u64,
  startNs: u64,
  fullWindowNs: u64,
  nowNs: u64,
): bool {
  const nextNs = shareNs == 0 ? startNs : shareNs;
  for (let i = 0; i < MAX_TRIES; i++) {
    const way = readWay(fingerprint);
    const beforeNs = shareIn(way, fingerprint, startNs);
    const beforeWindowNs = max(fullWindowNs, beforeNs);
    const windowNs = max(fullWindowNs, nextNs);
    const tat = clampTat(way.tatNs, nowNs, beforeWindowNs);
    // In intervals, as a fraction: a share that changes each second must not round tokens away.
    const tokens = <f64>(nowNs + beforeWindowNs - tat) / <f64>beforeNs;
    const kept = min(<u64>(tokens * <f64>nextNs), windowNs);
    claim(way, fingerprint);
    way.tatNs = nowNs + windowNs - kept;
    way.shareNs = shareNs;
    const status = writeSet(TABLE, fingerprint, set, SET);
    if (status == OK) return true;
    if (status != CAS_MISMATCH) return false;
  }
  return false;
}
