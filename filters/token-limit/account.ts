/** A bucket as one request has to do with it, and what came of that. */
@unmanaged
export class Account {
  /** Name of the bucket, and what it gives a minute. */
  bucket: u64;
  perMinute: u64;
  /** How far it may go into debt. */
  maxDebtNs: u64;
  /** Tokens that were left after the last change. */
  left: u64;
  /** Time until there are as many as the last `take` asked for at least; 0 where there are. */
  waitNs: u64;
}
