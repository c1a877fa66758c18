// The generic cell rate algorithm (ITU-T I.371; the same bound as a token
// bucket): the only state is the theoretical arrival time (TAT) of the next
// request at the sustained rate. A bucket of `burst` tokens is empty when the
// TAT is `burst` intervals ahead of now.

/** Workers read the clock at slightly different times; more than this ahead is a clock that jumped back. */
const JUMP_NS: u64 = 1_000_000_000;

/**
 * A TAT as it may be trusted: no earlier than now, and now where it lies
 * further ahead than any request can have moved it. A clock that jumps back so
 * costs at most one free burst and locks no one out.
 */
export function clampTat(tatNs: u64, nowNs: u64, windowNs: u64): u64 {
  if (tatNs < nowNs) return nowNs;
  return tatNs - nowNs > windowNs + JUMP_NS ? nowNs : tatNs;
}

/** Tokens in the bucket. */
export function available(tatNs: u64, nowNs: u64, intervalNs: u64, windowNs: u64): u64 {
  const end = nowNs + windowNs;
  return tatNs >= end ? 0 : (end - tatNs) / intervalNs;
}

/** Time until the bucket holds a token; 0 when it does. */
export function waitNs(tatNs: u64, nowNs: u64, intervalNs: u64, windowNs: u64): u64 {
  const ready = tatNs + intervalNs;
  return ready > nowNs + windowNs ? ready - nowNs - windowNs : 0;
}
