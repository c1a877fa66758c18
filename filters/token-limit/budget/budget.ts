import { CAS_MISMATCH, nowNs, OK } from "../../sdk";
import { MAX_TRIES, readSet, TOKENS, wayIn, writeSet } from "../../shared-table";

// A tenant's tokens: a bucket of one minute's worth that fills at the tier's
// rate, kept as the time at which it is full again. In any time t a proxy lets
// tokensPerMinute x (t / 1 min + 1) tokens be reserved. What an answer used beyond its
// reservation is taken as well, into debt that is paid off before the next request;
// what it did not use comes back. Strangers share a bucket: its debt ends with a
// minute's worth, so that none of them locks out the others for longer.
//
// The buckets of the whole proxy lie in a table that all workers share, each
// way a name and two times. A completion costs few changes, each one read and
// one compare-and-set.
const WINDOW_NS: u64 = 60_000_000_000;
/** Debts of a tenant that the configuration names, and of all whom it does not. */
export const MAX_DEBT_NS: u64 = 3_600_000_000_000;
export const SHARED_DEBT_NS: u64 = 60_000_000_000;
/** A clock that is further behind the last change jumped back: other workers' are not. */
const JUMP_NS: u64 = 1_000_000_000;

const WAYS: usize = 4;
const WAY: usize = 24;
const SET: usize = WAYS * WAY;

const set: usize = memory.data(<i32>SET, 8);

/** This worker's own buckets, for when shared data fails: one way per slot. */
const OWN: usize = 256;
const own: usize = memory.data(<i32>(OWN * WAY), 8);

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
export function take(bucket: u64, perMinute: u64, minTokens: u32, maxTokens: u32): bool {
  taken = 0;
  left = 0;
  waitNs = WINDOW_NS;
  if (perMinute == 0) return false;
  return change(bucket, perMinute, min<u64>(minTokens, perMinute), maxTokens, 0, MAX_DEBT_NS);
}

/** Looks up what is left, and how long it takes until there are so many. */
export function lookAhead(bucket: u64, perMinute: u64, tokens: u32): void {
  if (!take(bucket, perMinute, tokens, tokens)) return;
  charge(bucket, perMinute, -(<i64>taken), 0);
  waitNs = 0;
}

/** Takes tokens that were used beyond what was taken before, into debt if need be; below 0 gives back. */
export function charge(bucket: u64, perMinute: u64, tokens: i64, maxDebtNs: u64): void {
  if (perMinute != 0 && tokens != 0) change(bucket, perMinute, 0, 0, tokens, maxDebtNs);
}

function change(
  bucket: u64,
  perMinute: u64,
  minTokens: u64,
  maxTokens: u32,
  charged: i64,
  maxDebtNs: u64,
): bool {
  const now = nowNs();
  for (let i = 0; i < MAX_TRIES; i++) {
    readSet(TOKENS, bucket, set, SET);
    const way = wayIn(set, SET, WAY, bucket);
    const changed = changeWay(
      way,
      bucket,
      now,
      perMinute,
      minTokens,
      maxTokens,
      charged,
      maxDebtNs,
    );
    if (!changed) return false;
    const status = writeSet(TOKENS, bucket, set, SET);
    if (status == OK) return true;
    if (status != CAS_MISMATCH) break;
  }
  const way = own + (<usize>bucket & (OWN - 1)) * WAY;
  return changeWay(way, bucket, now, perMinute, minTokens, maxTokens, charged, maxDebtNs);
}

/** Applies a change to one way; false when a `take` finds too few. */
function changeWay(
  way: usize,
  bucket: u64,
  clockNs: u64,
  perMinute: u64,
  minTokens: u64,
  maxTokens: u32,
  charged: i64,
  maxDebtNs: u64,
): bool {
  let full = load<u64>(way, 8);
  const last = load<u64>(way, 16);
  let now = clockNs;
  if (last > now) {
    // After a jump only debts are left, as long as they were.
    if (last - now > JUMP_NS) full = now + (full > last + WINDOW_NS ? full - last - WINDOW_NS : 0);
    else now = last;
  }
  if (full < now) full = now;
  const there = full >= now + WINDOW_NS ? 0 : tokensIn(now + WINDOW_NS - full, perMinute);
  let tokens: i64 = charged;
  if (charged == 0) {
    if (there < minTokens || there == 0) {
      left = there;
      waitNs = full + costNs(max<u64>(minTokens, 1), perMinute) - now - WINDOW_NS;
      return false;
    }
    taken = <u32>min<u64>(there, maxTokens);
    tokens = taken;
  }
  if (tokens < 0) {
    const back = costNs(<u64>-tokens, perMinute);
    full = full - now > back ? full - back : now;
  } else
    full = min<u64>(full + costNs(<u64>tokens, perMinute), max(full, now + WINDOW_NS + maxDebtNs));
  left = full >= now + WINDOW_NS ? 0 : tokensIn(now + WINDOW_NS - full, perMinute);
  store<u64>(way, bucket);
  store<u64>(way, full, 8);
  store<u64>(way, now, 16);
  return true;
}
