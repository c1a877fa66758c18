import { xxh64 } from "../format/xxh64";
import { allocate, nowNs, release, Text, textBytes, textPtr } from "../sdk";
import { InFlight, openInFlight } from "./in-flight";

/**
 * What this worker knows of the requests that run on one route. As a bucket, it
 * outlives the configurations that name it.
 */
@unmanaged
export class Flow {
  next: usize;
  /** Hash of the route's name. */
  fingerprint: u64;
  /** Configurations and streams that use it. */
  users: i32;
  /** Streams of this worker that have begun and not ended. */
  open: u32;
  /** Streams that ended since sampledNs. */
  ended: u32;
  sampledNs: u64;
  samples: f64;
  /** Streams that end per second on this worker, smoothed; 0 while unknown. */
  endsPerSecond: f64;
  inFlight: InFlight;
  /** Whether the headers of answers are read. */
  listens: bool;
  /** Marks of saturation, per pod; 0 where a signal is not looked at. See ./overload for the rest. */
  queueMark: f64;
  kvCacheMark: f64;
  gpuMark: f64;
  saturationSum: f64;
  saturationCount: f64;
  sharedNs: u64;
  saturation: f64;
  share: f64;
  /** Metrics, or 0. */
  shareGauge: usize;
  saturationGauge: usize;
}

let first: usize = 0;

/** The flow of a route, made if needed; give it back with releaseFlow. */
export function acquireFlow(route: Text): Flow {
  const fingerprint = xxh64(textPtr(route), textBytes(route), 0);
  for (let at = first; at != 0; at = changetype<Flow>(at).next) {
    const known = changetype<Flow>(at);
    if (known.fingerprint != fingerprint) continue;
    known.users++;
    return known;
  }
  const made = changetype<Flow>(allocate(offsetof<Flow>()));
  memory.fill(changetype<usize>(made), 0, offsetof<Flow>());
  made.fingerprint = fingerprint;
  made.users = 1;
  made.sampledNs = nowNs();
  made.share = 1;
  made.inFlight = openInFlight();
  made.next = first;
  first = changetype<usize>(made);
  return made;
}

/** Frees the flow when nothing uses it any more. */
export function releaseFlow(flow: Flow): void {
  if (--flow.users > 0) return;
  let before: usize = 0;
  for (let at = first; at != changetype<usize>(flow); at = changetype<Flow>(at).next) before = at;
  if (before == 0) first = flow.next;
  else changetype<Flow>(before).next = flow.next;
  release(changetype<usize>(flow.inFlight));
  release(changetype<usize>(flow));
}

const SAMPLE_NS: u64 = 900_000_000;
const MOST_SAMPLES: f64 = 10;

/** Measures how fast each route's streams end; call it on each tick. */
export function sampleFlows(now: u64): void {
  for (let at = first; at != 0; at = changetype<Flow>(at).next) {
    const flow = changetype<Flow>(at);
    // A clock that jumped back starts a new sample.
    if (now < flow.sampledNs) flow.sampledNs = now;
    const elapsed = now - flow.sampledNs;
    if (elapsed < SAMPLE_NS) continue;
    const rate = (<f64>flow.ended * 1e9) / <f64>elapsed;
    // The mean of all samples first, then of about the last ten seconds.
    flow.samples = min(flow.samples + 1, MOST_SAMPLES);
    flow.endsPerSecond += (rate - flow.endsPerSecond) / flow.samples;
    flow.ended = 0;
    flow.sampledNs = now;
  }
}

const MOST_WAIT_NS: f64 = 60e9;
const UNKNOWN_NS: u64 = 1_000_000_000;

/**
 * Time until the next of `places` streams ends, if all of them are taken. By
 * Little's law a stream lasts open / endsPerSecond on average, and of `places`
 * streams that last so long one ends every so many nanoseconds.
 */
export function drainNs(flow: Flow, places: u32): u64 {
  if (flow.endsPerSecond <= 0 || places == 0) return UNKNOWN_NS;
  const lastsNs = (<f64>max(flow.open, 1) * 1e9) / flow.endsPerSecond;
  return <u64>min(lastsNs / <f64>places, MOST_WAIT_NS);
}
