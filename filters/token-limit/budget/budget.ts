import { CAS_MISMATCH, nowNs, OK } from "../../sdk";
import { MAX_TRIES, readSet, TOKENS, wayIn, writeSet } from "../../shared-table";
import { Account } from "../account";

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

function costNs(tokens: u64, perMinute: u64): u64 {
  return <u64>Math.ceil((<f64>tokens * <f64>WINDOW_NS) / <f64>perMinute);
}

function tokensIn(ns: u64, perMinute: u64): u64 {
  return <u64>Math.floor((<f64>ns * <f64>perMinute) / <f64>WINDOW_NS);
}

/** Takes as many tokens as there are, `minTokens` to `maxTokens`, and returns how many; 0 when there are fewer. */
export function take(account: Account, minTokens: u32, maxTokens: u32): u32 {
  account.left = 0;
  account.waitNs = WINDOW_NS;
  if (account.perMinute == 0) return 0;
  return change(account, min<u64>(minTokens, account.perMinute), maxTokens, 0);
}

/** Looks up what is left, and how long it takes until there are so many. */
export function lookAhead(account: Account, tokens: u32): void {
  const taken = take(account, tokens, tokens);
  if (taken == 0) return;
  adjust(account, -(<i64>taken));
  account.waitNs = 0;
}

/** Takes tokens that were used beyond what was taken before, into debt if need be; below 0 gives back. */
export function adjust(account: Account, tokens: i64): void {
  if (account.perMinute != 0 && tokens != 0) change(account, 0, 0, tokens);
}

function change(account: Account, minTokens: u64, maxTokens: u32, charged: i64): u32 {
  const bucket = account.bucket;
  const now = nowNs();
  for (let i = 0; i < MAX_TRIES; i++) {
    readSet(TOKENS, bucket, set, SET);
    const way = wayIn(set, SET, WAY, bucket);
    const taken = changeWay(way, account, now, minTokens, maxTokens, charged);
    if (taken == 0 && charged == 0) return 0;
    const status = writeSet(TOKENS, bucket, set, SET);
    if (status == OK) return taken;
    if (status != CAS_MISMATCH) break;
  }
  const way = own + (<usize>bucket & (OWN - 1)) * WAY;
  return changeWay(way, account, now, minTokens, maxTokens, charged);
}

/** Applies a change to one way; returns what a `take` takes, 0 where it finds too few. */
function changeWay(
  way: usize,
  account: Account,
  clockNs: u64,
  minTokens: u64,
  maxTokens: u32,
  charged: i64,
): u32 {
  const perMinute = account.perMinute;
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
      account.left = there;
      account.waitNs = full + costNs(max<u64>(minTokens, 1), perMinute) - now - WINDOW_NS;
      return 0;
    }
    tokens = <i64>min<u64>(there, maxTokens);
  }
  if (tokens < 0) {
    const back = costNs(<u64>-tokens, perMinute);
    full = full - now > back ? full - back : now;
  } else
    full = min<u64>(
      full + costNs(<u64>tokens, perMinute),
      max(full, now + WINDOW_NS + account.maxDebtNs),
    );
  account.left = full >= now + WINDOW_NS ? 0 : tokensIn(now + WINDOW_NS - full, perMinute);
  store<u64>(way, account.bucket);
  store<u64>(way, full, 8);
  store<u64>(way, now, 16);
  return charged == 0 ? <u32>tokens : 0;
}
