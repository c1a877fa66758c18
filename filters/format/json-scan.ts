import {
  BACKSLASH,
  COLON,
  COMMA,
  CR,
  DOT,
  HYPHEN,
  LF,
  NINE,
  OPEN_BRACE,
  OPEN_BRACKET,
  PLUS,
  QUOTE,
  SPACE,
  TAB,
  ZERO,
} from "./ascii-codes";
import { isDense } from "./dense";

// A JSON scanner for bodies that come in pieces, split at any byte, and are not
// kept: a state machine of a few words per stream that tells one token at a
// time. It checks only as much as keeps it in step; what is not JSON leaves it
// broken, and a broken scanner tells nothing more.

/** What nextToken found. Strings and keys are told at their closing quote, numbers and words at what follows. */
export const NO_TOKEN: u8 = 0;
export const KEY: u8 = 1;
export const STRING: u8 = 2;
export const NUMBER: u8 = 3;
/** true, false, null, and what Python reads beside them: NaN, Infinity. */
export const WORD: u8 = 4;
export const OPEN_OBJECT: u8 = 5;
export const OPEN_ARRAY: u8 = 6;
export const CLOSE: u8 = 7;

/** Deeper documents break the scanner. */
const MAX_SCAN_DEPTH: i32 = 64;
/** So much of a key, string, number or word is kept for whoever asks. */
export const KEPT_BYTES: u32 = 32;
/** Shorter texts are not looked at for whether they are dense. */
export const MIN_DENSE: u32 = 512;

const VALUE: u8 = 0;
const VALUE_OR_END: u8 = 1;
const MEMBER: u8 = 2;
const MEMBER_OR_END: u8 = 3;
const AFTER_KEY: u8 = 4;
const AFTER: u8 = 5;
const IN_STRING: u8 = 6;
const ESCAPE: u8 = 7;
const HEX: u8 = 8;
const IN_NUMBER: u8 = 9;
const IN_WORD: u8 = 10;
const BROKEN: u8 = 11;

@unmanaged
export class JsonScan {
  /** One bit per open level, innermost last: 1 for an object. */
  objects: u64;
  depth: i32;
  state: u8;
  /** What nextToken found last. */
  token: u8;
  isKey: bool;
  /** A text has had no space nor any other letter that data lacks, as far as it is long. */
  isDense: bool;
  /** The escape being read: digits to come and their value. */
  hexLeft: u8;
  hex: u16;
  /** Bytes of the token as they stood in the text, quotes not counted. */
  bytes: u32;
  /** How many of them are there only because of escapes. */
  escaped: u32;
  /** Bytes kept of it, escapes of ASCII resolved and zeros behind them; they stand in the last members. */
  kept: u32;
  text0: u64;
  text1: u64;
  text2: u64;
  text3: u64;
}

export function resetScan(scan: JsonScan): void {
  memory.fill(changetype<usize>(scan), 0, offsetof<JsonScan>());
}

/** Whether it met something that is not JSON, or is too deep. */
export function isBroken(scan: JsonScan): bool {
  return scan.state == BROKEN;
}

/** Whether a string that is no key is only begun. */
export function isInText(scan: JsonScan): bool {
  return scan.state >= IN_STRING && scan.state <= HEX && !scan.isKey;
}

/** Whether a number is only begun: its end is in a piece to come. */
export function isInNumber(scan: JsonScan): bool {
  return scan.state == IN_NUMBER;
}

/** Whether true, false or null is only begun. */
export function isInWord(scan: JsonScan): bool {
  return scan.state == IN_WORD;
}

export function keptText(scan: JsonScan): usize {
  return changetype<usize>(scan) + offsetof<JsonScan>() - KEPT_BYTES;
}

function keep(scan: JsonScan, byte: u8): void {
  if (scan.kept < KEPT_BYTES) store<u8>(keptText(scan) + scan.kept++, byte);
}

/** Keeps as much of plain bytes as there is room for. */
function keepPlain(scan: JsonScan, from: usize, end: usize): void {
  const room = min<usize>(end - from, KEPT_BYTES - scan.kept);
  if (room == 0) return;
  const to = keptText(scan) + scan.kept;
  scan.kept += <u32>room;
  let i: usize = 0;
  for (; i + 8 <= room; i += 8) store<u64>(to + i, load<u64>(from + i));
  for (; i < room; i++) store<u8>(to + i, load<u8>(from + i));
}

function begin(scan: JsonScan, state: u8): void {
  scan.state = state;
  scan.bytes = 0;
  scan.escaped = 0;
  scan.kept = 0;
  scan.text0 = 0;
  scan.text1 = 0;
  scan.text2 = 0;
  scan.text3 = 0;
}

/** Reads on to the next token or to the end of the piece; `scan.token` says which. Returns where to go on. */
export function nextToken(scan: JsonScan, from: usize, end: usize): usize {
  let at = from;
  scan.token = NO_TOKEN;
  while (at < end) {
    const state = scan.state;
    if (state == IN_STRING) {
      const start = at;
      at = plainEnd(at, end);
      keepPlain(scan, start, at);
      const bytes = scan.bytes + <u32>(at - start);
      scan.bytes = bytes;
      if (bytes >= MIN_DENSE && scan.isDense) scan.isDense = isDense(start, at);
      if (at == end) return at;
      if (load<u8>(at++) == BACKSLASH) {
        scan.state = ESCAPE;
        scan.bytes++;
        continue;
      }
      scan.state = scan.isKey ? AFTER_KEY : AFTER;
      scan.token = scan.isKey ? KEY : STRING;
      return at;
    }
    const c = load<u8>(at);
    if (state == ESCAPE || state == HEX) {
      at++;
      scan.bytes++;
      readEscape(scan, c);
      continue;
    }
    if (state == IN_NUMBER || state == IN_WORD) {
      if (isWordByte(c)) {
        at++;
        scan.bytes++;
        keep(scan, c);
        continue;
      }
      scan.state = AFTER;
      scan.token = state == IN_NUMBER ? NUMBER : WORD;
      return at;
    }
    if (state == BROKEN) return end;
    at++;
    if (c == SPACE || c == LF || c == CR || c == TAB) continue;
    if (structure(scan, state, c)) return at;
  }
  return at;
}

/** One byte between tokens; true when it is a token. */
function structure(scan: JsonScan, state: u8, c: u8): bool {
  if (state == AFTER) {
    if (c == COMMA && scan.depth > 0) scan.state = inObject(scan) ? MEMBER : VALUE;
    else return close(scan, c);
  } else if (state == MEMBER || state == MEMBER_OR_END) {
    if (c == QUOTE) {
      begin(scan, IN_STRING);
      scan.isKey = true;
    } else if (state == MEMBER_OR_END) return close(scan, c);
    else scan.state = BROKEN;
  } else if (state == AFTER_KEY) scan.state = c == COLON ? VALUE : BROKEN;
  else if (c == QUOTE) {
    begin(scan, IN_STRING);
    scan.isKey = false;
    scan.isDense = true;
  } else if (c == OPEN_BRACE || c == OPEN_BRACKET) return open(scan, c == OPEN_BRACE);
  else if (c == HYPHEN || (c >= ZERO && c <= NINE)) {
    begin(scan, IN_NUMBER);
    scan.bytes = 1;
    keep(scan, c);
  } else if (c == 0x74 || c == 0x66 || c == 0x6e || c == 0x4e || c == 0x49) {
    begin(scan, IN_WORD);
    scan.bytes = 1;
    keep(scan, c);
  } else if (state == VALUE_OR_END) return close(scan, c);
  else if (scan.depth > 0 || !isMark(c)) scan.state = BROKEN;
  return false;
}

/** A byte order mark of UTF-8 before a document. */
function isMark(c: u8): bool {
  return c == 0xef || c == 0xbb || c == 0xbf;
}

function inObject(scan: JsonScan): bool {
  return (scan.objects & 1) != 0;
}

function open(scan: JsonScan, object: bool): bool {
  if (scan.depth >= MAX_SCAN_DEPTH) {
    scan.state = BROKEN;
    return false;
  }
  scan.objects = (scan.objects << 1) | u64(object);
  scan.depth++;
  scan.state = object ? MEMBER_OR_END : VALUE_OR_END;
  scan.token = object ? OPEN_OBJECT : OPEN_ARRAY;
  return true;
}

function close(scan: JsonScan, c: u8): bool {
  if (scan.depth == 0 || c != (inObject(scan) ? 0x7d : 0x5d)) {
    scan.state = BROKEN;
    return false;
  }
  scan.objects >>= 1;
  scan.depth--;
  scan.state = AFTER;
  scan.token = CLOSE;
  return true;
}

/** Escapes matter in what is kept, for a name may be spelled with them, and in what a text really has. */
function readEscape(scan: JsonScan, c: u8): void {
  if (scan.state == ESCAPE) {
    if (c == 0x75) {
      scan.state = HEX;
      scan.hexLeft = 4;
      scan.hex = 0;
      return;
    }
    scan.state = IN_STRING;
    scan.escaped++;
    // Line ends and the like: which one of them a name never asks.
    keep(scan, c >= 0x61 ? 0xff : c);
    return;
  }
  const lower = c | 0x20;
  scan.hex = (scan.hex << 4) | <u16>((c <= NINE ? c - 0x30 : lower - 0x57) & 15);
  if (--scan.hexLeft > 0) return;
  scan.state = IN_STRING;
  const hex = scan.hex;
  // Six bytes for one of one, two or three; a pair of surrogates is four in UTF-8.
  scan.escaped += hex < 0x80 ? 5 : hex < 0x800 || (hex & 0xf800) == 0xd800 ? 4 : 3;
  keep(scan, hex - 1 < 0x7f ? <u8>hex : 0xff);
}

/** First quote or backslash; eight bytes at a time (Mycroft's zero-byte test). */
function plainEnd(from: usize, end: usize): usize {
  let at = from;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    const quote = word ^ 0x2222222222222222;
    const slash = word ^ 0x5c5c5c5c5c5c5c5c;
    const found = ((quote - 0x0101010101010101) & ~quote) | ((slash - 0x0101010101010101) & ~slash);
    if ((found & 0x8080808080808080) != 0) break;
    at += 8;
  }
  while (at < end && load<u8>(at) != QUOTE && load<u8>(at) != BACKSLASH) at++;
  return at;
}

/** What numbers and words are made of. */
function isWordByte(c: u8): bool {
  const lower = c | 0x20;
  return (
    (c >= ZERO && c <= NINE) ||
    (lower >= 0x61 && lower <= 0x7a) ||
    c == DOT ||
    c == PLUS ||
    c == HYPHEN
  );
}
