import { BACKSLASH, QUOTE, SPACE } from "../format/ascii-codes";
import { hexDigit, unescaped } from "../format/json-text";
import { AFTER, AFTER_KEY, ESCAPE, HEX, IN_TEXT } from "./json-places";
import {
  BROKEN,
  endModelText,
  IGNORED,
  isRefused,
  keep,
  keptPtr,
  MODEL,
  ModelReader,
  NAME,
  NOT_TEXT,
  putByte,
  putPoint,
  refuse,
} from "./reader";
import { skipPlain, skipText } from "./skip";
import { namesModel } from "./spelling";
import { isUtf8 } from "./utf8";

// The strings of a document: strict, as json.loads and JSON.parse are. All of them have to be UTF-8,
// not the names and the model alone: json.loads refuses other bodies, JavaScript and Go replace letters.

/**
 * Begins a string.
 *
 * @param takes what becomes of it: IGNORED, NAME or MODEL
 */
export function beginText(reader: ModelReader, takes: u8, isKey: bool): void {
  reader.where = IN_TEXT;
  reader.takes = takes;
  reader.isKey = isKey;
  if (takes == NAME) reader.kept = 0;
}

/** Reads on in a string, behind its end at most. */
export function readText(reader: ModelReader, from: usize, end: usize): usize {
  if (reader.takes == NAME && reader.where == IN_TEXT && reader.kept == 0) {
    // Most names are whole and plain.
    const at = skipPlain(from, end);
    if (at < end && load<u8>(at) == QUOTE && reader.high == 0 && reader.charLeft == 0) {
      endName(reader, from, at - from);
      return at + 1;
    }
  }
  let at = from;
  while (at < end && reader.where >= IN_TEXT && !isRefused(reader)) {
    if (reader.takes == IGNORED && reader.where == IN_TEXT && reader.charLeft == 0) {
      at = skipText(at, end);
      if (at == end) break;
    }
    // What asks for more than a look, or is split between pieces.
    readByte(reader, load<u8>(at++));
  }
  return at;
}

function endName(reader: ModelReader, ptr: usize, bytes: usize): void {
  reader.where = AFTER_KEY;
  reader.takes = IGNORED;
  reader.isNamed = namesModel(reader, ptr, bytes);
}

function readByte(reader: ModelReader, c: u8): void {
  if (reader.where == HEX) readHex(reader, c);
  else if (reader.where == ESCAPE) readEscape(reader, c);
  else if (!isUtf8(reader, c)) refuse(reader, BROKEN);
  else if (c == QUOTE) endText(reader);
  else if (c == BACKSLASH) reader.where = ESCAPE;
  else if (c < SPACE) refuse(reader, BROKEN);
  else take(reader, c);
}

function readEscape(reader: ModelReader, c: u8): void {
  if (c == 0x75) {
    reader.where = HEX;
    reader.left = 4;
    reader.hex = 0;
    return;
  }
  const byte = unescaped(c);
  reader.where = IN_TEXT;
  if (byte < 0) refuse(reader, BROKEN);
  else take(reader, <u8>byte);
}

function readHex(reader: ModelReader, c: u8): void {
  const digit = hexDigit(c);
  if (digit < 0) {
    refuse(reader, BROKEN);
    return;
  }
  reader.hex = <u16>(((<u32>reader.hex) << 4) | digit);
  if (--reader.left > 0) return;
  reader.where = IN_TEXT;
  if (reader.takes != IGNORED) takeUnit(reader, reader.hex);
}

/** A byte as it stands in the text, or what one letter behind a backslash stands for. */
function take(reader: ModelReader, byte: u8): void {
  if (reader.high != 0) endHalf(reader);
  if (reader.takes == NAME) keep(reader, byte);
  else if (reader.takes == MODEL) putByte(reader, byte);
}

/** A unit of UTF-16; two may be one character. */
function takeUnit(reader: ModelReader, unit: u32): void {
  const high: u32 = reader.high;
  if (high != 0 && (unit & 0xfc00) == 0xdc00) {
    reader.high = 0;
    takePoint(reader, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
    return;
  }
  if (high != 0) endHalf(reader);
  if ((unit & 0xfc00) == 0xd800) reader.high = <u16>unit;
  else if ((unit & 0xfc00) == 0xdc00) endHalf(reader);
  else takePoint(reader, unit);
}

function takePoint(reader: ModelReader, point: i32): void {
  // Beyond ASCII no letter matters to a name, only that there is one.
  if (reader.takes == NAME) keep(reader, point < 0x80 ? <u8>point : 0xff);
  else putPoint(reader, point);
}

/** Half a pair of surrogates: Python and JavaScript keep it, Go replaces it, UTF-8 has no form of it. */
function endHalf(reader: ModelReader): void {
  reader.high = 0;
  if (reader.takes == NAME) keep(reader, 0xff);
  else refuse(reader, NOT_TEXT);
}

function endText(reader: ModelReader): void {
  if (reader.high != 0) endHalf(reader);
  if (isRefused(reader)) return;
  if (reader.takes == NAME) endName(reader, keptPtr(reader), reader.kept);
  else {
    reader.where = reader.isKey ? AFTER_KEY : AFTER;
    if (reader.takes == MODEL) endModelText(reader);
  }
}
