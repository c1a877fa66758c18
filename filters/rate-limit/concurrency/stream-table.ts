import { addTo, allocate, dropFrom, release, Table, valueIn } from "../../sdk";
import { Bucket, releaseBucket } from "../bucket/bucket";
import { Flow, releaseFlow } from "../in-flight/flow";
import { leave } from "../in-flight/in-flight";
import { beginWait, endWait } from "../overload/estimate";
import { leavePart, NO_PART } from "./variant-places";

// Which stream holds what, until it ends, by the host's context id. The table
// doubles, so its size follows the most streams that a worker ever had open.
//
//   context -> slot -> the tenant's bucket and the route's flow
const slots = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));

/** One open stream. */
@unmanaged
class Slot {
  /** Bucket whose place the stream takes; 0 where its tier has no such limit. */
  bucket: Bucket | null;
  flow: Flow;
  /** When it began to wait for the headers of an answer, in ms; 0: they came. */
  waitsSince: f64;
  /** Whether it takes a place of the route's. */
  counted: bool;
  /** What ./variant-places counts it in, of the tenant's requests and the route's. */
  bucketPart: usize;
  flowPart: usize;
}

/** Notes what a stream holds. */
export function openSlot(
  context: u32,
  bucket: Bucket | null,
  flow: Flow,
  counted: bool,
  now: u64,
): void {
  endSlot(context);
  const slot = changetype<Slot>(allocate(offsetof<Slot>()));
  slot.bucket = bucket;
  slot.flow = flow;
  slot.counted = counted;
  slot.bucketPart = NO_PART;
  slot.flowPart = NO_PART;
  slot.waitsSince = beginWait(flow, now);
  if (bucket !== null) bucket.users++;
  flow.users++;
  flow.open++;
  addTo(slots, context, changetype<usize>(slot));
}

/** Frees what a stream held, once, however it ended; nothing for a stream that held none. */
export function endSlot(context: u32): void {
  const slot = slotOf(context);
  if (slot === null) return;
  const bucket = slot.bucket;
  const flow = slot.flow;
  if (bucket !== null) {
    leavePart(slot.bucketPart);
    leave(bucket.inFlight);
    releaseBucket(bucket);
  }
  leavePart(slot.flowPart);
  if (slot.counted) leave(flow.inFlight);
  if (slot.waitsSince > 0) endWait(flow, slot.waitsSince);
  dropFrom(slots, context);
  release(changetype<usize>(slot));
  flow.open--;
  flow.ended++;
  releaseFlow(flow);
}

/** The slot of an open stream. */
export function slotOf(context: u32): Slot | null {
  return changetype<Slot | null>(valueIn(slots, context));
}

/** The flow of an open stream. */
export function flowOf(context: u32): Flow | null {
  const slot = slotOf(context);
  return slot === null ? null : slot.flow;
}

/** The answer of an open stream begins: when the stream began, in ms, the first time; else 0. */
export function beganMs(context: u32): f64 {
  const slot = changetype<Slot>(valueIn(slots, context));
  const since = slot.waitsSince;
  slot.waitsSince = 0;
  if (since > 0) endWait(slot.flow, since);
  return since;
}
