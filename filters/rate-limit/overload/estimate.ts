import { eachFlow, Flow } from "../in-flight/flow";
import { ESTIMATE, noteSaturation } from "./overload";

// What the proxy sees itself of how busy a route's pods are, for where nobody tells: how
// long answers take to begin against how long they usually take, and where none begins
// how long those wait that are there.

/** Answers that take so many times as long as usual mean saturation; what is shorter than this never does. */
const SLOWER: f64 = 4;
const SHORT_MS: f64 = 500;
/** How fast the usual follows what is: down at once, up so slowly that a queue does not become usual. */
const DOWN: f64 = 0.2;
const UP: f64 = 0.01;
/** Where something waits and nothing is known: between the marks, so that nothing opens or closes. */
const UNKNOWN: f64 = 0.9;

let seenAt: u64 = 0;

/** A stream began; returns when, in ms. */
export function beginWait(flow: Flow, now: u64): f64 {
  const ms = <f64>(now / 1_000_000);
  flow.waiting++;
  flow.waitingSince += ms;
  return ms;
}

/** A stream waits no more, for it was answered or for it has ended. */
export function endWait(flow: Flow, sinceMs: f64): void {
  flow.waiting--;
  flow.waitingSince = flow.waiting == 0 ? 0 : flow.waitingSince - sinceMs;
}

/** The answer of a stream began. */
export function noteBegun(flow: Flow, sinceMs: f64, now: u64): void {
  flow.begun++;
  flow.begunMs += max(<f64>(now / 1_000_000) - sinceMs, 0);
}

/** Says how busy the pods look of each route that listens; call it on each tick. */
export function estimateFlows(now: u64): void {
  seenAt = now;
  eachFlow(estimate);
}

function estimate(at: usize): void {
  const flow = changetype<Flow>(at);
  if (!flow.listens) return;
  let took: f64 = 0;
  if (flow.begun > 0) {
    took = flow.begunMs / flow.begun;
    const usual = flow.usualMs;
    flow.usualMs = usual == 0 ? took : usual + (took - usual) * (took > usual ? UP : DOWN);
    flow.begun = 0;
    flow.begunMs = 0;
  } else if (flow.waiting > 0) took = <f64>(seenAt / 1_000_000) - flow.waitingSince / flow.waiting;
  else return;
  const known = flow.usualMs > 0;
  noteSaturation(
    flow,
    ESTIMATE,
    known ? took / max(flow.usualMs * SLOWER, SHORT_MS) : UNKNOWN,
    seenAt,
  );
}
