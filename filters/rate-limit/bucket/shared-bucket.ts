import { CAS_MISMATCH, OK, readShared, sharedBytes, sharedPtr, writeShared } from "../../sdk";
import { available, clampTat, waitNs } from "./gcra";

// The buckets of the whole proxy: a fixed table in shared data, 4,096 keys of
// four ways, each way a fingerprint and a TAT, and with fleet limits the proxy's
// share (as nanoseconds between requests). Nothing can make it grow, and the
// host's lack of deletion does not matter.
const SETS: u64 = 4096;
const WAYS: usize = 4;
const WAY: usize = FULL ? 24 : 16;
const SET: usize = WAYS * WAY;
const MAX_TRIES: i32 = 8;

/** A worker takes an eighth of what is there, so that it asks seldom and strands little. */
const LEASE_SHARE: u64 = 8;
const MAX_LEASE: u64 = 65536;

// "weir.b" and the set. Modules whose records differ have other keys: they share the data of one proxy.
const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, FULL ? 0x66 : 0x62, 0, 0]);
const KEY: usize = 8;
const set: usize = memory.data(96, 8);

/** Tokens that the last lease brought. */
export let leased: i32 = 0;
/** Time until the bucket holds another token, after the last lease. */
export let leaseWaitNs: u64 = 0;

/** What came of a lease. */
export const LEASED: i32 = 0;
export const EMPTY: i32 = 1;
/** Shared data failed or stayed contended; the caller falls back to its own bucket. */
export const UNAVAILABLE: i32 = 2;

/**
 * Takes tokens from the proxy's bucket by compare-and-set.
 *
 * @param startNs of a fleet-wide limit the interval until a share is assigned; else 0
 */
export function lease(
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
    if (FULL && startNs != 0) {
      intervalNs = shareIn(way, fingerprint, startNs);
      windowNs = max(windowNs, intervalNs);
    }
    const tat = clampTat(load<u64>(way, 8), nowNs, windowNs);
    const there = available(tat, nowNs, intervalNs, windowNs);
    if (there == 0) {
      leaseWaitNs = waitNs(tat, nowNs, intervalNs, windowNs);
      return EMPTY;
    }
    const take = min(max(there / LEASE_SHARE, 1), MAX_LEASE);
    claim(way, fingerprint);
    const next = tat + take * intervalNs;
    store<u64>(way, next, 8);
    const status = writeSet();
    leased = <i32>take;
    leaseWaitNs = waitNs(next, nowNs, intervalNs, windowNs);
    if (status == OK) return LEASED;
    if (status != CAS_MISMATCH) return UNAVAILABLE;
  }
  return UNAVAILABLE;
}

/** Reads the set of a fingerprint and finds its way in there. */
function readWay(fingerprint: u64): usize {
  store<u16>(key, <u16>((fingerprint >> 32) & (SETS - 1)), 6);
  readShared(key, KEY);
  if (sharedBytes == SET) memory.copy(set, sharedPtr, SET);
  else memory.fill(set, 0, SET);
  return wayOf(fingerprint);
}

function writeSet(): i32 {
  return writeShared(key, KEY, set, SET);
}

function claim(way: usize, fingerprint: u64): void {
  // Who is pushed out takes its share along.
  if (FULL && load<u64>(way) != fingerprint) store<u64>(way, 0, 16);
  store<u64>(way, fingerprint);
}

function shareIn(way: usize, fingerprint: u64, startNs: u64): u64 {
  const share = load<u64>(way) == fingerprint ? load<u64>(way, 16) : 0;
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
    const tat = clampTat(load<u64>(way, 8), nowNs, beforeWindowNs);
    // In intervals, as a fraction: a share that changes each second must not round tokens away.
    const tokens = <f64>(nowNs + beforeWindowNs - tat) / <f64>beforeNs;
    const kept = min(<u64>(tokens * <f64>nextNs), windowNs);
    claim(way, fingerprint);
    store<u64>(way, nowNs + windowNs - kept, 8);
    store<u64>(way, shareNs, 16);
    const status = writeSet();
    if (status == OK) return true;
    if (status != CAS_MISMATCH) return false;
  }
  return false;
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
