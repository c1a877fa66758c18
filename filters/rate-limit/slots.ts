import { allocate, release } from "../sdk";
import { Bucket, releaseBucket } from "./bucket";
import { Flow, releaseFlow } from "./flow";
import { leave } from "./in-flight";

// Which stream holds what, until it ends: an open-addressing table keyed by the
// host's context id. It doubles when half of it is taken, so its size follows
// the most streams that a worker ever had open, and a look-up stays at one or two
// probes however many there are.
//
//   context -> slot -> the tenant's bucket and the route's flow

/** One open stream. Context 0 is no stream's, it marks a free slot. */
@unmanaged
class Slot {
  context: u32;
  /** Bucket whose place the stream takes; 0 where its tier has no such limit. */
  bucket: usize;
  flow: usize;
  /** Whether it takes a place of the route's. */
  counted: bool;
}

const SLOT: usize = offsetof<Slot>();
const SMALLEST: u32 = 64;

let slots: usize = 0;
let mask: u32 = 0;
let taken: u32 = 0;

function slotAt(index: u32): Slot {
  return changetype<Slot>(slots + <usize>(index & mask) * SLOT);
}

/** Contexts count up; multiplied by the golden ratio they spread over the table. */
function home(context: u32): u32 {
  return (context * 0x9e3779b1) >> 8;
}

function find(context: u32): u32 {
  let index = home(context);
  while (slotAt(index).context != context && slotAt(index).context != 0) index++;
  return index & mask;
}

/** Notes what a stream holds. */
export function openSlot(context: u32, bucket: usize, flow: Flow, counted: bool): void {
  if (context == 0) return;
  endSlot(context);
  if (taken << 1 >= mask) grow();
  const slot = slotAt(find(context));
  slot.context = context;
  slot.bucket = bucket;
  slot.flow = changetype<usize>(flow);
  slot.counted = counted;
  if (bucket != 0) changetype<Bucket>(bucket).users++;
  flow.users++;
  flow.open++;
  taken++;
}

/** Frees what a stream held, once, however it ended; nothing for a stream that held none. */
export function endSlot(context: u32): void {
  if (taken == 0 || context == 0) return;
  const index = find(context);
  const slot = slotAt(index);
  if (slot.context == 0) return;
  const bucket = slot.bucket;
  const flow = changetype<Flow>(slot.flow);
  const counted = slot.counted;
  free(index);
  if (bucket != 0) {
    leave(changetype<Bucket>(bucket).inFlight);
    releaseBucket(changetype<Bucket>(bucket));
  }
  if (counted) leave(flow.inFlight);
  flow.open--;
  flow.ended++;
  releaseFlow(flow);
}

/** The flow of an open stream, or 0. */
export function flowOf(context: u32): usize {
  if (taken == 0 || context == 0) return 0;
  const slot = slotAt(find(context));
  return slot.context == 0 ? 0 : slot.flow;
}

/** Empties a slot and moves up those behind it that would no longer be found. */
function free(index: u32): void {
  taken--;
  let hole = index;
  for (let at = index + 1; slotAt(at).context != 0; at++) {
    const wanted = home(slotAt(at).context);
    // Whether the hole lies between where it wants to be and where it is.
    if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
    memory.copy(changetype<usize>(slotAt(hole)), changetype<usize>(slotAt(at)), SLOT);
    hole = at;
  }
  slotAt(hole).context = 0;
}

function grow(): void {
  const before = slots;
  const count: u32 = before == 0 ? 0 : mask + 1;
  const size: u32 = max(count << 1, SMALLEST);
  slots = allocate(<usize>size * SLOT);
  memory.fill(slots, 0, <usize>size * SLOT);
  mask = size - 1;
  for (let i: u32 = 0; i < count; i++) {
    const slot = changetype<Slot>(before + <usize>i * SLOT);
    if (slot.context == 0) continue;
    memory.copy(changetype<usize>(slotAt(find(slot.context))), changetype<usize>(slot), SLOT);
  }
  if (before != 0) release(before);
}
