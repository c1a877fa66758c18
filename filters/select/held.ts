import { MODEL_READER_BYTES, ModelReader } from "../model-name";
import { addTo, allocateZeroed, dropFrom, release, Table, valueIn } from "../sdk";

/** A request whose model is being read. Nothing in it points into a configuration, which may go before it. */
@unmanaged
export class Held {
  /** Whether its headers wait until the route is known. */
  waits: bool;
  /** Bytes of the body that were read. */
  seenBytes: usize;
  /** So much of it may be held. */
  maxBytes: usize;
  reader: ModelReader;
}

const held = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));

/** Begins to hold a request. */
export function hold(context: u32, maxBytes: usize): Held {
  letGo(context);
  const at = changetype<Held>(allocateZeroed(offsetof<Held>() + MODEL_READER_BYTES));
  at.reader = changetype<ModelReader>(changetype<usize>(at) + offsetof<Held>());
  at.waits = true;
  at.maxBytes = maxBytes;
  addTo(held, context, changetype<usize>(at));
  return at;
}

/** The request of a context, where its body is read. */
export function heldRequest(context: u32): Held | null {
  return changetype<Held | null>(valueIn(held, context));
}

/** Forgets a request, whether it is held or not. */
export function letGo(context: u32): void {
  const at = valueIn(held, context);
  if (at == 0) return;
  dropFrom(held, context);
  release(at);
}
