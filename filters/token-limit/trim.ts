import { allocate } from "../sdk";
import { dropTo, keepTo, putBytes } from "./edit";
import { Stream } from "./stream";

// The event that tells usage because the filter asked for it is taken out
// again. Events go on as soon as a choice in them shows that they are another;
// only the beginning of one that may still be it waits here for its end.

/** More of an event than this does not wait: it goes on, usage or not. */
const MOST_HELD: u32 = 16_384;

/** The event at `from` goes on, with what was held back of it. */
export function passHeld(stream: Stream, from: usize): void {
  stream.passes = true;
  if (stream.heldBytes == 0) return;
  keepTo(from);
  putBytes(stream.held, stream.heldBytes);
  stream.heldBytes = 0;
}

/** The event from `from` to `end` does not go on, nor does what was held back of it. */
export function takeOut(stream: Stream, from: usize, end: usize): void {
  stream.heldBytes = 0;
  keepTo(from);
  dropTo(end);
}

/** The event at `from` may be the one; its bytes to `end` wait. */
export function hold(stream: Stream, from: usize, end: usize): void {
  const bytes = <u32>(end - from);
  if (bytes == 0) return;
  if (stream.heldBytes + bytes > MOST_HELD) {
    passHeld(stream, from);
    return;
  }
  if (stream.held == 0) stream.held = allocate(MOST_HELD);
  memory.copy(stream.held + stream.heldBytes, from, bytes);
  stream.heldBytes += bytes;
  keepTo(from);
  dropTo(end);
}
