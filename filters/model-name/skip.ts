import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  CR,
  NINE,
  QUOTE,
  SPACE,
  ZERO,
} from "../format/ascii-codes";
import { unescaped, utf8Length } from "../format/json-text";

// Ways past long texts that nobody asks for, eight bytes at a time (Mycroft's zero-byte test). A
// borrow goes to higher bytes only, so that the lowest byte found is one that is there.

const ONES: u64 = 0x0101010101010101;
const HIGHS: u64 = 0x8080808080808080;
const SPACES: u64 = 0x2020202020202020;
const QUOTES: u64 = 0x2222222222222222;
const BACKSLASHES: u64 = 0x5c5c5c5c5c5c5c5c;
const RETURNS: u64 = 0x0d0d0d0d0d0d0d0d;

/**
 * Goes over the text of a JSON string: plain bytes, whole escapes and whole characters. Stops at
 * what ends it, is wrong, or is cut by the end of the piece.
 */
export function skipText(from: usize, end: usize): usize {
  let at = skipPlain(from, end);
  while (at < end) {
    const c = load<u8>(at);
    if (c == QUOTE || c < SPACE) return at;
    const next = c >= 0x80 ? skipCharacters(at, end) : skipEscapes(at, end);
    if (next == at) return at;
    at = skipPlain(next, end);
  }
  return at;
}

/** First byte that is a quote, a backslash, a control character or beyond ASCII. */
export function skipPlain(from: usize, end: usize): usize {
  let at = from;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    const found =
      (((word ^ QUOTES) - ONES) | ((word ^ BACKSLASHES) - ONES) | (word - SPACES) | word) & HIGHS;
    if (found != 0) return at + <usize>(ctz(found) >> 3);
    at += 8;
  }
  while (at < end && isPlain(load<u8>(at))) at++;
  return at;
}

function isPlain(c: u8): bool {
  return c >= SPACE && c < 0x80 && c != QUOTE && c != BACKSLASH;
}

/** Goes over whole characters beyond ASCII; those of three bytes, most of all texts beyond Latin, first. */
function skipCharacters(from: usize, end: usize): usize {
  let at = from;
  while (at + 4 <= end) {
    const word = load<u32>(at);
    if ((word & 0xc0c0f0) == 0x8080e0) {
      // Overlong forms begin with e0 80 to e0 9f, surrogates with ed a0 to ed bf.
      const lead = word & 0x200f;
      if (lead == 0 || lead == 0x200d) return at;
      at += 3;
    } else {
      const c = <u8>word;
      const bytes = c < 0x80 ? 0 : utf8Length(at, end);
      if (bytes == 0) return at;
      at += bytes;
    }
  }
  return at;
}

/** Goes over whole escapes. */
function skipEscapes(from: usize, end: usize): usize {
  let at = from;
  while (at + 2 <= end && load<u8>(at) == BACKSLASH) {
    const letter = load<u8>(at, 1);
    if (letter != 0x75) {
      if (unescaped(letter) < 0) return at;
      at += 2;
    } else {
      if (at + 6 > end || !areHex(load<u32>(at, 2))) return at;
      at += 6;
    }
  }
  return at;
}

/** Whether four bytes are hexadecimal digits: 0 to 9, or a to f in either size. */
function areHex(word: u32): bool {
  const small = word | 0x20202020;
  // Bytes below 0x80 carry nothing over; each sum has its high bit where a byte is as high as that.
  const digits = (word + 0x50505050) & ~(word + 0x46464646);
  const letters = (small + 0x1f1f1f1f) & ~(small + 0x19191919);
  return ((digits | letters) & ~word & 0x80808080) == 0x80808080;
}

/**
 * Goes over whole numbers, and in an array over the commas between: prompts of tokens are made of them.
 * Returns the end of the last one that is there with what follows it; `from` where none is.
 */
export function skipNumbers(from: usize, end: usize, inArray: bool): usize {
  let done = from;
  let at = from;
  while (at < end) {
    const start = at;
    while (at < end && isDigit(load<u8>(at))) at++;
    const digits = at - start;
    const isWhole = digits == 1 || (digits > 1 && digits < 20 && load<u8>(start) != ZERO);
    if (!isWhole || at == end) return done;
    const c = load<u8>(at);
    if (c != COMMA && c != CLOSE_BRACKET && c != CLOSE_BRACE && c != SPACE) return done;
    done = at;
    if (c != COMMA || !inArray) return done;
    at++;
    if (at < end && load<u8>(at) == SPACE) at++;
  }
  return done;
}

function isDigit(c: u8): bool {
  return c >= ZERO && c <= NINE;
}

/** First carriage return, or the end. */
export function skipToReturn(from: usize, end: usize): usize {
  let at = from;
  while (at + 8 <= end) {
    const word = load<u64>(at) ^ RETURNS;
    const found = (word - ONES) & ~word & HIGHS;
    if (found != 0) return at + <usize>(ctz(found) >> 3);
    at += 8;
  }
  while (at < end && load<u8>(at) != CR) at++;
  return at;
}
