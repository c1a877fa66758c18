import { isLiteral } from "../sdk";
import { COMMA, DOT, EQUALS, SEMICOLON, SPACE, TAB } from "./ascii-codes";

/** The encodings Weir tells apart, as bits of a set. */
export const GZIP: u32 = 1;
export const BROTLI: u32 = 2;
export const ZSTD: u32 = 4;

// Quality in thousandths by encoding: gzip, br, zstd, identity, "*"; -1 where not named.
const ENTRIES: usize = 5;
const IDENTITY: usize = 3;
const ANY: usize = 4;
const quality: usize = memory.data(20, 4);
const position: usize = memory.data(20, 4);

function entryOf(ptr: usize, bytes: usize): i32 {
  if (isLiteral("gzip", ptr, bytes)) return 0;
  if (isLiteral("br", ptr, bytes)) return 1;
  if (isLiteral("zstd", ptr, bytes)) return 2;
  if (isLiteral("identity", ptr, bytes)) return 3;
  if (isLiteral("*", ptr, bytes)) return 4;
  return -1;
}

/** Starts a header field; its lines follow with addAcceptEncoding. */
export function openAcceptEncoding(): void {
  for (let i: usize = 0; i < ENTRIES; i++) store<i32>(quality + (i << 2), -1);
  members = 0;
}
let members: i32 = 0;

/** Reads one line of the field, in time linear in its length. */
export function addAcceptEncoding(ptr: usize, bytes: usize): void {
  const end = ptr + bytes;
  let from = ptr;
  while (from < end) {
    let to = from;
    while (to < end && load<u8>(to) != COMMA) to++;
    addMember(from, to);
    from = to + 1;
  }
}

function isSpace(byte: u8): bool {
  return byte == SPACE || byte == TAB;
}

function addMember(from: usize, to: usize): void {
  let at = from;
  while (at < to && isSpace(load<u8>(at))) at++;
  let nameEnd = at;
  while (nameEnd < to && load<u8>(nameEnd) != SEMICOLON) nameEnd++;
  const parameters = nameEnd;
  while (nameEnd > at && isSpace(load<u8>(nameEnd - 1))) nameEnd--;
  members++;
  const entry = entryOf(at, nameEnd - at);
  if (entry < 0) return;
  const q = parameters < to ? readQuality(parameters + 1, to) : 1000;
  if (q < 0) return;
  const slot = (<usize>entry) << 2;
  const known = load<i32>(quality + slot);
  // A refusal stands wherever it is written; otherwise the first mention counts.
  if (known < 0) store<i32>(position + slot, members);
  if (known < 0 || q == 0) store<i32>(quality + slot, q);
}

/**
 * Quality of the first parameter in thousandths, as Envoy reads it: a first
 * parameter of another name means 1, a value that is no number makes the
 * member void (-1).
 */
function readQuality(from: usize, to: usize): i32 {
  let at = from;
  while (at < to && isSpace(load<u8>(at))) at++;
  if (to - at < 2 || (load<u8>(at) | 0x20) != 0x71 || load<u8>(at, 1) != EQUALS) return 1000;
  at += 2;
  let value = 0;
  let digits = 0;
  let scale = 1000;
  let fraction = false;
  for (; at < to; at++) {
    const c = load<u8>(at);
    if (c == DOT && !fraction) {
      fraction = true;
      continue;
    }
    if (c < 48 || c > 57) break;
    digits++;
    if (!fraction) value = min(value * 10 + (c - 48), 1);
    else if (scale > 1) {
      scale /= 10;
      value = value * 10 + (c - 48);
    }
  }
  while (at < to && isSpace(load<u8>(at))) at++;
  if (digits == 0 || (at < to && load<u8>(at) != SEMICOLON)) return -1;
  return min(value * scale, 1000);
}

function qualityOf(entry: usize): i32 {
  const own = load<i32>(quality + (entry << 2));
  return own >= 0 ? own : load<i32>(quality + (ANY << 2));
}

/**
 * The first of the preferred encodings (one per byte, the lowest first) that the
 * client accepts at least as gladly as no encoding; 0 when none.
 */
export function negotiate(preferences: u32): u32 {
  const plain = load<i32>(quality + (IDENTITY << 2));
  for (; preferences != 0; preferences >>= 8) {
    const bit = preferences & 255;
    const entry: usize = bit == GZIP ? 0 : bit == BROTLI ? 1 : 2;
    const q = qualityOf(entry);
    if (q <= 0 || plain > q) continue;
    const named = load<i32>(quality + (entry << 2)) >= 0 ? entry : ANY;
    if (plain == q && load<i32>(position + (IDENTITY << 2)) < load<i32>(position + (named << 2)))
      continue;
    return bit;
  }
  return 0;
}
