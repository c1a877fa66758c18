import { xxh64 } from "../../format/xxh64";
import {
  addTo,
  allocateZeroed,
  dropFrom,
  eachIn,
  nowNs,
  release,
  Table,
  Text,
  textBytes,
  textPtr,
  valueIn,
} from "../../sdk";
import { closeInFlight, InFlight, openInFlight } from "./in-flight";

/**
 * What this worker knows of the requests that run on one route. As a bucket, it
 * outlives the configurations that name it.
 */
@unmanaged
export class Flow {
  /** What was noted since sharedNs: a sum and a count for each source of ../overload, which finds them here. */
  gathered: f64;
  gathered1: f64;
  gathered2: f64;
  gathered3: f64;
  gathered4: f64;
  gathered5: f64;
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
  /** Marks of saturation, per pod; 0 where a signal is not looked at. See ../overload/overload for the rest. */
  queueMark: f64;
  kvCacheMark: f64;
  gpuMark: f64;
  sharedNs: u64;
  saturation: f64;
  share: f64;
  /** When the next answer is asked for its pod's load. */
  askNs: u64;
  /** A bit for each pod that told its load lately, and before that; see ./ask. */
  pods: u64;
  podsBefore: u64;
  podsNs: u64;
  /** Streams of this worker without the headers of an answer, and the sum of when they began, in ms. */
  waiting: u32;
  waitingSince: f64;
  /** Answers that began since the last tick and how long they took in all, and how long they usually take, in ms. */
  begun: u32;
  begunMs: f64;
  usualMs: f64;
  // The route's name follows, as a text.
}

const flows = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));

/** Name of the flow's route. */
export function routeOfFlow(flow: Flow): Text {
  return changetype<usize>(flow) + offsetof<Flow>();
}

/** The flow of a route, made if needed; give it back with releaseFlow. */
export function acquireFlow(route: Text): Flow {
  const fingerprint = xxh64(textPtr(route), textBytes(route), 0);
  const known = flowNamed(fingerprint);
  if (known !== null) {
    known.users++;
    return known;
  }
  // Bytes before a text's own say how many there are.
  const nameBytes = textPtr(route) - route + textBytes(route);
  const made = changetype<Flow>(allocateZeroed(offsetof<Flow>() + nameBytes));
  memory.copy(routeOfFlow(made), route, nameBytes);
  made.fingerprint = fingerprint;
  made.users = 1;
  made.sampledNs = nowNs();
  made.share = 1;
  made.inFlight = openInFlight();
  addTo(flows, fingerprint, changetype<usize>(made));
  return made;
}

/** The flow of the route whose name has this hash. */
export function flowNamed(fingerprint: u64): Flow | null {
  return changetype<Flow | null>(valueIn(flows, fingerprint));
}

/** Frees the flow when nothing uses it any more. */
export function releaseFlow(flow: Flow): void {
  if (--flow.users > 0) return;
  dropFrom(flows, flow.fingerprint);
  closeInFlight(flow.inFlight);
  release(changetype<usize>(flow));
}

const SAMPLE_NS: u64 = 900_000_000;
const MAX_SAMPLES: f64 = 10;

let sampledAt: u64 = 0;

/** Measures how fast each route's streams end; call it on each tick. */
export function sampleFlows(now: u64): void {
  sampledAt = now;
  eachIn(flows, sample);
}

/** Calls for each flow. */
export function eachFlow(call: (flow: usize) => void): void {
  eachIn(flows, call);
}

function sample(at: usize): void {
  const flow = changetype<Flow>(at);
  const now = sampledAt;
  // A clock that jumped back starts a new sample.
  if (now < flow.sampledNs) flow.sampledNs = now;
  const elapsed = now - flow.sampledNs;
  if (elapsed < SAMPLE_NS) return;
  const rate = (<f64>flow.ended * 1e9) / <f64>elapsed;
  // The mean of all samples first, then of about the last ten seconds.
  flow.samples = min(flow.samples + 1, MAX_SAMPLES);
  flow.endsPerSecond += (rate - flow.endsPerSecond) / flow.samples;
  flow.ended = 0;
  flow.sampledNs = now;
}

const MAX_WAIT_NS: f64 = 60e9;
const UNKNOWN_NS: u64 = 1_000_000_000;

/**
 * Time until the next of `places` streams ends, if all of them are taken. By
 * Little's law a stream lasts open / endsPerSecond on average, and of `places`
 * streams that last so long one ends every so many nanoseconds.
 */
export function drainNs(flow: Flow, places: u32): u64 {
  if (flow.endsPerSecond <= 0 || places == 0) return UNKNOWN_NS;
  const lastsNs = (<f64>max(flow.open, 1) * 1e9) / flow.endsPerSecond;
  return <u64>min(lastsNs / <f64>places, MAX_WAIT_NS);
}
