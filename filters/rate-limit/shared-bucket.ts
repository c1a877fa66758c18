import { CAS_MISMATCH, OK, readShared, sharedBytes, sharedPtr, writeShared } from "../sdk";
import { available, clampTat, waitNs } from "./gcra";

// The buckets of the whole proxy: a fixed table in shared data, 4,096 keys of
// four ways, each way a fingerprint and a TAT. Nothing can make it grow, and the
// host's lack of deletion does not matter.
const SETS: u64 = 4096;
const WAYS: usize = 4;
const WAY: usize = 16;
const SET: usize = WAYS * WAY;
const MOST_TRIES: i32 = 8;

/** A worker takes an eighth of what is there, so that it asks seldom and strands little. */
const LEASE_SHARE: u64 = 8;
const MOST_LEASE: u64 = 65536;

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0x62, 0, 0]); // "weir.b" and the set
const KEY: usize = 8;
const set: usize = memory.data(64, 8);

/** Tokens that the last lease brought. */
export let leased: i32 = 0;
/** Time until the bucket holds another token, after the last lease. */
export let leaseWaitNs: u64 = 0;

/** What came of a lease. */
export const LEASED: i32 = 0;
export const EMPTY: i32 = 1;
/** Shared data failed or stayed contended; the caller falls back to its own bucket. */
export const UNAVAILABLE: i32 = 2;

/** Takes tokens from the proxy's bucket by compare-and-set. */
export function lease(fingerprint: u64, nowNs: u64, intervalNs: u64, windowNs: u64): i32 {
  store<u16>(key, <u16>((fingerprint >> 32) & (SETS - 1)), 6);
  for (let i = 0; i < MOST_TRIES; i++) {
    readShared(key, KEY);
    if (sharedBytes == SET) memory.copy(set, sharedPtr, SET);
    else memory.fill(set, 0, SET);
    const way = wayOf(fingerprint);
    const tat = clampTat(load<u64>(way, 8), nowNs, windowNs);
    const there = available(tat, nowNs, intervalNs, windowNs);
    if (there == 0) {
      leaseWaitNs = waitNs(tat, nowNs, intervalNs, windowNs);
      return EMPTY;
    }
    const take = min(max(there / LEASE_SHARE, 1), MOST_LEASE);
    store<u64>(way, fingerprint);
    const next = tat + take * intervalNs;
    store<u64>(way, next, 8);
    const status = writeShared(key, KEY, set, SET);
    leased = <i32>take;
    leaseWaitNs = waitNs(next, nowNs, intervalNs, windowNs);
    if (status == OK) return LEASED;
    if (status != CAS_MISMATCH) return UNAVAILABLE;
  }
  return UNAVAILABLE;
}

/**
 * The way of a fingerprint: its own, or the one that has been idle longest. A
 * newcomer takes over that way's debt, so being pushed out never fills a bucket.
 */
function wayOf(fingerprint: u64): usize {
  let oldest = set;
  for (let way = set; way < set + SET; way += WAY) {
    if (load<u64>(way) == fingerprint) return way;
    if (load<u64>(way, 8) < load<u64>(oldest, 8)) oldest = way;
  }
  return oldest;
}
