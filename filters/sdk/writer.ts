import { Ascii } from "./ascii";
import { allocate } from "./heap";
import { Text, textBytes, textPtr } from "./text";

// One buffer for what a callback builds: a reply's headers and body, a log
// line, a report. What does not fit is left out and `overflowed` says so.
const CAPACITY: usize = 262144;
let buffer: usize = 0;
let used: usize = 0;
let full: bool = false;

/** Starts an empty text. The buffer is taken from the heap once, on first use. */
export function beginText(): void {
  if (buffer == 0) buffer = allocate(CAPACITY);
  used = 0;
  full = false;
}

/** Where the text written so far stands; valid until the next beginText. */
export function written(): usize {
  return buffer;
}

/** Length of the text written so far, in bytes. */
export function writtenBytes(): usize {
  return used;
}

/** Whether something did not fit since the last beginText, and was left out. */
export function overflowed(): bool {
  return full;
}

/** Writes one byte. */
export function writeByte(byte: u8): void {
  if (used >= CAPACITY) {
    full = true;
    return;
  }
  store<u8>(buffer + used, byte);
  used++;
}

/** Writes a byte range, or nothing of it where it does not fit. */
export function writeBytes(ptr: usize, bytes: usize): void {
  if (bytes > CAPACITY - used) {
    full = true;
    return;
  }
  memory.copy(buffer + used, ptr, bytes);
  used += bytes;
}

/** Writes the bytes of a text. */
export function writeText(text: Text): void {
  writeBytes(textPtr(text), textBytes(text));
}

/** An ASCII literal. */
export function write(value: Ascii): void {
  writeBytes(value.ptr, value.length);
}

/** Writes a number in decimal. */
export function writeUint(value: u64): void {
  let divisor: u64 = 1;
  while (value / divisor >= 10) divisor *= 10;
  for (; divisor > 0; divisor /= 10) writeByte(<u8>(48 + ((value / divisor) % 10)));
}

/** Writes a number as 16 lower-case hex digits. */
export function writeHex(value: u64): void {
  for (let shift = 60; shift >= 0; shift -= 4) {
    const digit = <u8>((value >> shift) & 15);
    writeByte(digit < 10 ? 48 + digit : 87 + digit);
  }
}

/** Bytes a stranger chose, made safe for a JSON string or a log line: all but printable ASCII becomes "?". */
export function writeSafe(ptr: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i++) {
    const byte = load<u8>(ptr + i);
    writeByte(byte < 0x20 || byte > 0x7e || byte == 0x22 || byte == 0x5c ? 0x3f : byte);
  }
}

/** Starts a pair list of the ABI (u32 count, sizes, then the bytes) for at most `count` pairs. */
export function beginPairs(count: u32): usize {
  beginText();
  store<u32>(buffer, count);
  used = 4 + ((<usize>count) << 3);
  return 0;
}

let pairStart: usize = 0;

/** Writes the key of pair number `index`; its value is what is written until endPair. */
export function beginPair(index: u32, key: Ascii): void {
  beginPairOf(index, key.ptr, key.length);
}

/** The same for a key that is no literal. */
export function beginPairOf(index: u32, key: usize, keyBytes: usize): void {
  store<u32>(buffer + 4 + ((<usize>index) << 3), <u32>keyBytes);
  writeBytes(key, keyBytes);
  writeByte(0);
  pairStart = used;
}

/** Ends the value of pair number index. */
export function endPair(index: u32): void {
  store<u32>(buffer + 8 + ((<usize>index) << 3), <u32>(used - pairStart));
  writeByte(0);
}
