import { Ascii, arenaAlloc, replaceBody } from "../sdk";

// One piece of a body being edited from front to back. As long as nothing
// changes nothing is copied, and the host keeps its own bytes.

/** Room for what edits add to a piece. */
const MAX_ADDED: usize = 2048;

let from: usize = 0;
let end: usize = 0;
let out: usize = 0;
let outBytes: usize = 0;
let capacity: usize = 0;
let edited: bool = false;

/** Whether an edit of this piece came to nothing: there was no memory, or the host did not take it. */
export function hasEditFailed(): bool {
  return failed;
}
let failed: bool = false;

/** Begins with a piece; `more` is what may be put besides a little. */
export function beginEdit(ptr: usize, bytes: usize, more: usize): void {
  from = ptr;
  end = ptr + bytes;
  out = 0;
  outBytes = 0;
  capacity = bytes + more + MAX_ADDED;
  edited = false;
  failed = false;
}

/** Keeps what stands before `at`. */
export function keepTo(at: usize): void {
  if (!ready()) return;
  if (at > from) {
    memory.copy(out + outBytes, from, at - from);
    outBytes += at - from;
    from = at;
  }
}

/** Leaves out what stands before `at` and was not kept. */
export function dropTo(at: usize): void {
  if (ready() && at > from) from = at;
}

/** Puts bytes where the edit stands. */
export function putBytes(ptr: usize, bytes: usize): void {
  if (!fits(bytes)) return;
  memory.copy(out + outBytes, ptr, bytes);
  outBytes += bytes;
}

export function putByte(byte: u8): void {
  if (!fits(1)) return;
  store<u8>(out + outBytes++, byte);
}

export function put(text: Ascii): void {
  putBytes(text.ptr, text.length);
}

/** Puts spaces, which mean nothing in JSON. */
export function putSpaces(count: usize): void {
  if (!fits(count)) return;
  memory.fill(out + outBytes, 0x20, count);
  outBytes += count;
}

function fits(bytes: usize): bool {
  if (!ready()) return false;
  if (outBytes + bytes + (end - from) <= capacity) return true;
  failed = true;
  return false;
}

function ready(): bool {
  if (!edited) {
    out = arenaAlloc(capacity);
    edited = out != 0;
    failed = !edited;
  }
  return edited;
}

/** Gives the host what came of the piece; returns how many bytes go on. */
export function endEdit(body: i32, bytes: usize): usize {
  if (!edited) return bytes;
  keepTo(end);
  if (replaceBody(body, bytes, out, outBytes)) return outBytes;
  failed = true;
  return bytes;
}
