import { Span } from "../sdk";
import { BACKSLASH, QUOTE, SPACE } from "./ascii-codes";

// The strings of RFC 8259 section 7: checks and unescapes one in place.

/** Value of a hexadecimal digit, or -1. */
export function hexDigit(c: i32): i32 {
  const lower = c | 0x20;
  return c >= 48 && c <= 57 ? c - 48 : lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

function hex4(at: usize): i32 {
  let value = 0;
  for (let i: usize = 0; i < 4; i++) {
    const digit = hexDigit(load<u8>(at + i));
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

/** The character that a letter behind a backslash stands for, or -1; `u` stands for none. */
export function unescaped(letter: u8): i32 {
  switch (letter) {
    case 0x62:
      return 8;
    case 0x66:
      return 12;
    case 0x6e:
      return 10;
    case 0x72:
      return 13;
    case 0x74:
      return 9;
    case 0x22:
    case 0x5c:
    case 0x2f:
      return letter;
  }
  return -1;
}

/** Writes a code point as UTF-8; returns where it ends. */
export function putUtf8(out: usize, point: i32): usize {
  if (point < 0x80) {
    store<u8>(out, <u8>point);
    return out + 1;
  }
  const length: usize = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  let rest = point;
  for (let i = length - 1; i > 0; i--) {
    store<u8>(out + i, <u8>(0x80 | (rest & 63)));
    rest >>= 6;
  }
  // The lead byte says the length by as many ones: 0xc0, 0xe0, 0xf0.
  store<u8>(out, <u8>((0xf00 >> <i32>length) | rest));
  return out + length;
}

/** Bytes of the UTF-8 sequence at `at`, or 0 when it is not valid (RFC 3629). */
export function utf8Length(at: usize, end: usize): usize {
  const lead = load<u8>(at);
  if (lead < 0x80) return 1;
  const need: usize = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || end - at < need) return 0;
  const second = load<u8>(at, 1);
  if (lead == 0xe0 && second < 0xa0) return 0;
  if (lead == 0xed && second > 0x9f) return 0;
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  for (let i: usize = 1; i < need; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return 0;
  return need;
}

/**
 * Decodes the string whose opening quote is before `from`.
 *
 * @param into what it says, where it stands
 * @returns where reading goes on; 0 when it is not a string
 */
export function decodeString(from: usize, end: usize, into: Span): usize {
  let at = from;
  let out = from;
  while (at < end) {
    const c = load<u8>(at);
    if (c == QUOTE) {
      into.ptr = from;
      into.bytes = out - from;
      return at + 1;
    }
    if (c < SPACE) return 0;
    if (c != BACKSLASH) {
      // Most bytes are ASCII, and a copy of one byte is dear.
      if (c < 0x80) {
        store<u8>(out, c);
        at++;
        out++;
        continue;
      }
      const length = utf8Length(at, end);
      if (length == 0) return 0;
      memory.copy(out, at, length);
      at += length;
      out += length;
      continue;
    }
    if (end - at < 2) return 0;
    const letter = load<u8>(at, 1);
    at += 2;
    if (letter != 0x75) {
      const byte = unescaped(letter);
      if (byte < 0) return 0;
      store<u8>(out, <u8>byte);
      out++;
      continue;
    }
    if (end - at < 4) return 0;
    let point = hex4(at);
    at += 4;
    // A NUL would end a name early in whatever reads it later; a lone surrogate is no character.
    if (point <= 0 || (point >= 0xdc00 && point <= 0xdfff)) return 0;
    if (point >= 0xd800 && point <= 0xdbff) {
      if (end - at < 6 || load<u16>(at) != 0x755c) return 0;
      const low = hex4(at + 2);
      if (low < 0xdc00 || low > 0xdfff) return 0;
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      at += 6;
    }
    out = putUtf8(out, point);
  }
  return 0;
}
