// The generic cell rate algorithm (ITU-T I.371; the same bound as a token
// bucket): the only state is the theoretical arrival time (TAT) of the next
// request at the sustained rate. A bucket of `burst` tokens is empty when the
// TAT is `burst` intervals ahead of now.

/** A TAT as it may be trusted: no earlier than now, no further ahead than a clock that never jumped back allows. */
export function clampTat(tatNs: u64, nowNs: u64, windowNs: u64): u64 {
  if (tatNs < nowNs) return nowNs;
  return tatNs - nowNs > windowNs ? nowNs + windowNs : tatNs;
}

/** Tokens in the bucket. */
export function available(tatNs: u64, nowNs: u64, intervalNs: u64, windowNs: u64): u64 {
  return (nowNs + windowNs - tatNs) / intervalNs;
}

/** Time until the bucket holds a token; 0 when it does. */
export function waitNs(tatNs: u64, nowNs: u64, intervalNs: u64, windowNs: u64): u64 {
  const ready = tatNs + intervalNs;
  return ready > nowNs + windowNs ? ready - nowNs - windowNs : 0;
}
