import { addNames, findScanned, meaningOf, openTable } from "../../apis";
import { COMMA, OPEN_BRACE, SPACE } from "../../format/ascii-codes";
import { JsonScan, KEY, NO_TOKEN, nextToken, resetScan } from "../../format/json-scan";
import { allocate, arenaAlloc, reserve } from "../../sdk";
import { dropTo, keepTo, putBytes } from "../body-edit";
import { Stream } from "../stream";

// The event that tells usage because the filter asked for it is taken out
// again. Events go on as soon as a choice in them shows that they are another;
// only the beginning of one that may still be it waits here for its end.

/** More of an event than this does not wait: it goes on, usage or not. */
const MAX_HELD: u32 = 16_384;

/** The event at `from` goes on, with what was held back of it. */
export function passHeld(stream: Stream, from: usize): void {
  stream.passes = true;
  if (stream.heldBytes == 0) return;
  keepTo(from);
  putBytes(stream.held, stream.heldBytes);
  stream.heldBytes = 0;
}

/**
 * The event from `from` to `end` does not go on, nor does what was held back of it,
 * but for what it says beside usage.
 */
export function takeOut(stream: Stream, from: usize, end: usize): void {
  const had = <usize>stream.heldBytes;
  stream.heldBytes = 0;
  keepTo(from);
  dropTo(end);
  const event = arenaAlloc(had + (end - from));
  if (event == 0) return;
  memory.copy(event, stream.held, had);
  memory.copy(event + had, from, end - from);
  putRest(event, event + had + (end - from));
}

/** Members of an event that tells usage alone. */
const plain: usize = openTable();
addNames(
  plain,
  "a service_tier:Z system_fingerprint:Z model:Z created:Z object:Z id:Z choices:Z usage:e",
);
const aside = changetype<JsonScan>(reserve(offsetof<JsonScan>()));

/** Puts an event without its usage, where it has members that no such event has. */
function putRest(event: usize, end: usize): void {
  let usageFrom: usize = 0;
  let usageTo: usize = 0;
  let hasMore = false;
  let at = event;
  while (at < end && load<u8>(at) != OPEN_BRACE) at++;
  resetScan(aside);
  while (true) {
    at = nextToken(aside, at, end);
    if (aside.token == NO_TOKEN) break;
    if (aside.depth != 1) continue;
    if (aside.token != KEY) {
      if (usageFrom != 0 && usageTo == 0) usageTo = at;
      continue;
    }
    const entry = findScanned(plain, 1, aside);
    if (entry == 0) hasMore = true;
    else if (meaningOf(entry) == 0x65) usageFrom = at - aside.bytes - 2;
  }
  if (!hasMore || usageTo == 0 || usageTo < usageFrom) return;
  // A comma goes with it, before or behind.
  let before = usageFrom;
  while (load<u8>(before - 1) <= SPACE) before--;
  if (load<u8>(before - 1) == COMMA) usageFrom = before - 1;
  else {
    while (load<u8>(usageTo) <= SPACE) usageTo++;
    if (load<u8>(usageTo) == COMMA) usageTo++;
  }
  putBytes(event, usageFrom - event);
  putBytes(usageTo, end - usageTo);
}

/** The event at `from` may be the one; its bytes to `end` wait. */
export function hold(stream: Stream, from: usize, end: usize): void {
  const bytes = <u32>(end - from);
  if (bytes == 0) return;
  if (stream.heldBytes + bytes > MAX_HELD) {
    passHeld(stream, from);
    return;
  }
  if (stream.held == 0) stream.held = allocate(MAX_HELD);
  memory.copy(stream.held + stream.heldBytes, from, bytes);
  stream.heldBytes += bytes;
  keepTo(from);
  dropTo(end);
}
