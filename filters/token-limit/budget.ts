import { CAS_MISMATCH, nowNs, OK, readShared, sharedBytes, sharedPtr, writeShared } from "../sdk";

// A tenant's tokens: a bucket of one minute's worth that fills at the tier's
// rate, kept as the time at which it is full again. In any time t a proxy lets
// tokensPerMinute x (t / 1 min + 1) tokens be reserved. What an answer used beyond its
// reservation is taken as well, up to another minute's worth of debt; what it
// did not use comes back.
//
// The buckets of the whole proxy lie in shared data: 4,096 keys of four ways,
// each way a fingerprint and a time, so that nothing makes them grow. A
// completion costs three changes, each one read and one compare-and-set.
const WINDOW_NS: u64 = 60_000_000_000;
const MOST_DEBT_NS: u64 = 60_000_000_000;
/** More ahead than debts go is a clock that jumped back. */
const JUMP_NS: u64 = 1_000_000_000;

const SETS: u64 = 4096;
const WAYS: usize = 4;
const WAY: usize = 16;
const SET: usize = WAYS * WAY;
const MOST_TRIES: i32 = 8;

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0x74, 0, 0]); // "weir.t" and the set
const KEY: usize = 8;
const set: usize = memory.data(64, 8);

/** This worker's own buckets, for when shared data fails: one way per slot. */
const OWN: u64 = 256;
const own: usize = memory.data(4096, 8);

/** Tokens the last `take` took; 0 when it took none. */
export let taken: u32 = 0;
/** Tokens that were left after the last change. */
export let left: u64 = 0;
/** Time until there are as many as the last `take` wanted at least. */
export let waitNs: u64 = 0;

function costNs(tokens: u64, perMinute: u64): u64 {
  return <u64>Math.ceil((<f64>tokens * <f64>WINDOW_NS) / <f64>perMinute);
}

function tokensIn(ns: u64, perMinute: u64): u64 {
  return <u64>Math.floor((<f64>ns * <f64>perMinute) / <f64>WINDOW_NS);
}

/** Takes as many tokens as there are, `least` to `most`; false when there are fewer, and takes none. */
export function take(bucket: u64, perMinute: u64, least: u32, most: u32): bool {
  taken = 0;
  left = 0;
  waitNs = WINDOW_NS;
  if (perMinute == 0) return false;
  return change(bucket, perMinute, min<u64>(least, perMinute), most, 0);
}

/** Takes tokens that were used beyond what was taken before, into debt if need be; below 0 gives back. */
export function charge(bucket: u64, perMinute: u64, tokens: i64): void {
  if (perMinute != 0 && tokens != 0) change(bucket, perMinute, 0, 0, tokens);
}

function change(bucket: u64, perMinute: u64, least: u64, most: u32, charged: i64): bool {
  const now = nowNs();
  store<u16>(key, <u16>((bucket >> 32) & (SETS - 1)), 6);
  for (let i = 0; i < MOST_TRIES; i++) {
    readShared(key, KEY);
    if (sharedBytes == SET) memory.copy(set, sharedPtr, SET);
    else memory.fill(set, 0, SET);
    const way = wayOf(bucket);
    const changed = changeWay(way, bucket, now, perMinute, least, most, charged);
    if (!changed) return false;
    const status = writeShared(key, KEY, set, SET);
    if (status == OK) return true;
    if (status != CAS_MISMATCH) break;
  }
  const way = own + ((<usize>(bucket & (OWN - 1))) << 4);
  return changeWay(way, bucket, now, perMinute, least, most, charged);
}

/** Applies a change to one way; false when a `take` finds too few. */
function changeWay(
  way: usize,
  bucket: u64,
  now: u64,
  perMinute: u64,
  least: u64,
  most: u32,
  charged: i64,
): bool {
  let full = load<u64>(way, 8);
  if (full < now || full - now > WINDOW_NS + MOST_DEBT_NS + JUMP_NS) full = now;
  const there = full >= now + WINDOW_NS ? 0 : tokensIn(now + WINDOW_NS - full, perMinute);
  let tokens: i64 = charged;
  if (charged == 0) {
    if (there < least || there == 0) {
      left = there;
      waitNs = full + costNs(max<u64>(least, 1), perMinute) - now - WINDOW_NS;
      return false;
    }
    taken = <u32>min<u64>(there, most);
    tokens = taken;
  }
  if (tokens < 0) {
    const back = costNs(<u64>-tokens, perMinute);
    full = full - now > back ? full - back : now;
  } else full = min<u64>(full + costNs(<u64>tokens, perMinute), now + WINDOW_NS + MOST_DEBT_NS);
  left = full >= now + WINDOW_NS ? 0 : tokensIn(now + WINDOW_NS - full, perMinute);
  store<u64>(way, bucket);
  store<u64>(way, full, 8);
  return true;
}

/**
 * The way of a bucket: its own, or the one that is nearest to full. A newcomer
 * takes over that one's debt, so being pushed out never fills a bucket.
 */
function wayOf(bucket: u64): usize {
  let oldest = set;
  for (let way = set; way < set + SET; way += WAY) {
    if (load<u64>(way) == bucket) return way;
    if (load<u64>(way, 8) < load<u64>(oldest, 8)) oldest = way;
  }
  return oldest;
}
