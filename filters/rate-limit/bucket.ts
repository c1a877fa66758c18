import { allocate, release, reserve } from "../sdk";
import { InFlight, openInFlight } from "./in-flight";

/**
 * What this worker knows of one token bucket. Kept for the whole VM, not in a
 * configuration, so that a new configuration does not forget leased tokens.
 */
@unmanaged
export class Bucket {
  next: usize;
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
  wanted: u32;
  /** On the worker that reports: requests of the whole proxy since the last report. */
  asked: u32;
  /** On the worker that reports: reports since the last request; 0 is none to tell of. */
  quiet: u32;
}

const CHAINS: usize = 1024;
const chains: usize = reserve(CHAINS << 2);

/** The bucket of that fingerprint, made if needed; give it back with releaseBucket. */
export function acquireBucket(fingerprint: u64): Bucket {
  const chain = chains + ((<usize>fingerprint & (CHAINS - 1)) << 2);
  for (let at = load<usize>(chain); at != 0; at = changetype<Bucket>(at).next) {
    const known = changetype<Bucket>(at);
    if (known.fingerprint != fingerprint) continue;
    known.users++;
    return known;
  }
  const made = changetype<Bucket>(allocate(offsetof<Bucket>()));
  memory.fill(changetype<usize>(made), 0, offsetof<Bucket>());
  made.fingerprint = fingerprint;
  made.users = 1;
  if (FULL) made.inFlight = openInFlight();
  made.next = load<usize>(chain);
  store<usize>(chain, changetype<usize>(made));
  return made;
}

/** The bucket of that fingerprint, or 0. */
export function bucketOf(fingerprint: u64): usize {
  let at = load<usize>(chains + ((<usize>fingerprint & (CHAINS - 1)) << 2));
  while (at != 0 && changetype<Bucket>(at).fingerprint != fingerprint)
    at = changetype<Bucket>(at).next;
  return at;
}

/** Calls back with each bucket. */
export function eachBucket(visit: (bucket: Bucket) => void): void {
  for (let chain: usize = 0; chain < CHAINS; chain++)
    for (let at = load<usize>(chains + (chain << 2)); at != 0; at = changetype<Bucket>(at).next)
      visit(changetype<Bucket>(at));
}

/** Frees the bucket when no configuration uses it any more. */
export function releaseBucket(bucket: Bucket): void {
  if (--bucket.users > 0) return;
  let link = chains + ((<usize>bucket.fingerprint & (CHAINS - 1)) << 2);
  while (load<usize>(link) != changetype<usize>(bucket)) link = load<usize>(link);
  store<usize>(link, bucket.next);
  if (FULL) release(changetype<usize>(bucket.inFlight));
  release(changetype<usize>(bucket));
}
