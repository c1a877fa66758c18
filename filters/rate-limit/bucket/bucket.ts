import {
  addTo,
  allocateZeroed,
  dropFrom,
  EXTENDED,
  eachIn,
  release,
  Table,
  valueIn,
} from "../../sdk";
import { closeInFlight, InFlight, openInFlight } from "../in-flight/in-flight";

/**
 * What this worker knows of one token bucket. Kept for the whole VM, not in a
 * configuration, so that a new configuration does not forget leased tokens.
 */
@unmanaged
export class Bucket {
  /** Hash of route and tenant: the bucket's name in shared data. */
  fingerprint: u64;
  /** Configurations that use it. */
  users: i32;
  /** Tokens leased from the shared bucket and not yet spent. */
  tokens: i32;
  /** Until then the shared bucket was seen empty; no need to ask before. */
  emptyUntilNs: u64;
  /** Theoretical arrival time of the worker's own bucket, for when shared data fails. */
  ownTatNs: u64;
  /** Whether the last request that was admitted was so without shared data. */
  alone: bool;
  inFlight: InFlight;
  /** Of fleet-wide limits: when the next token is expected, and the tier's intervals and window; else 0. */
  readyNs: u64;
  fullNs: u64;
  startNs: u64;
  windowNs: u64;
  /** Requests since the last tick, admitted or not; counted for fleet-wide limits. */
  requestsSinceTick: u32;
  /** On the worker that reports: requests of the whole proxy since the last report. */
  requestsSinceReport: u32;
  /** On the worker that reports: reports since the last request; 0 is none to tell of. */
  idleReports: u32;
}

const buckets = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));

/** The bucket of that fingerprint, made if needed; give it back with releaseBucket. */
export function acquireBucket(fingerprint: u64): Bucket {
  const known = bucketOf(fingerprint);
  if (known !== null) {
    known.users++;
    return known;
  }
  const made = changetype<Bucket>(allocateZeroed(offsetof<Bucket>()));
  made.fingerprint = fingerprint;
  made.users = 1;
  if (EXTENDED) made.inFlight = openInFlight();
  addTo(buckets, fingerprint, changetype<usize>(made));
  return made;
}

/** The bucket of that fingerprint. */
export function bucketOf(fingerprint: u64): Bucket | null {
  return changetype<Bucket | null>(valueIn(buckets, fingerprint));
}

/** Calls back with each bucket. */
export function eachBucket(visit: (bucket: Bucket) => void): void {
  eachIn(buckets, changetype<(value: usize) => void>(visit));
}

/** Frees the bucket when no configuration uses it any more. */
export function releaseBucket(bucket: Bucket): void {
  if (--bucket.users > 0) return;
  dropFrom(buckets, bucket.fingerprint);
  if (EXTENDED) closeInFlight(bucket.inFlight);
  release(changetype<usize>(bucket));
}
