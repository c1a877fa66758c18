import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  CR,
  LF,
  NINE,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SPACE,
  TAB,
  ZERO,
} from "../format/ascii-codes";
import {
  AFTER,
  AFTER_KEY,
  BEGIN,
  DONE,
  IN_TEXT,
  IN_WORD,
  MARK,
  MARK_END,
  MEMBER,
  MEMBER_OR_END,
  ROOT,
  VALUE,
  VALUE_OR_END,
} from "./json-places";
import { beginScalar, readNumber, readWord } from "./json-scalars";
import { beginText, readText } from "./json-strings";
import {
  ABSENT,
  BROKEN,
  FOUND,
  IGNORED,
  isRefused,
  MODEL,
  ModelReader,
  NAME,
  NOT_TEXT,
  refuse,
  scratch,
  TOO_DEEP,
} from "./reader";
import { skipNumbers } from "./skip";

// The grammar of RFC 8259 as Python's json.loads(bytes) reads it, without its taste for UTF-16 and
// UTF-32: whatever is found or absent here is so for json.loads, and for every reader that takes
// the body at all. NaN and the infinities are values, which JSON.parse refuses. So is a byte order
// mark of UTF-8 at the beginning, which clients on Windows write: what refuses it answers an error,
// and reads no other model.

/**
 * Levels of objects and arrays. Python's json.loads ends at about 1,000 less what is on its stack, and
 * pydantic's reader at 200; schemas of tools have some dozens.
 */
const MAX_DEPTH: u32 = 512;

export function readJson(reader: ModelReader, from: usize, end: usize): void {
  let at = from;
  while (at < end && !isRefused(reader)) {
    const where = reader.where;
    if (where >= IN_TEXT) at = readText(reader, at, end);
    else if (where > IN_WORD) at = readNumber(reader, at, end);
    else if (where == IN_WORD) at = readWord(reader, at, end);
    else if (where > MARK_END) at = readStructure(reader, at, end);
    else readMark(reader, load<u8>(at++));
  }
}

/** The body is whole. */
export function endJson(reader: ModelReader): void {
  if (reader.where != DONE) refuse(reader, BROKEN);
  else if (reader.state != FOUND) reader.state = ABSENT;
}

/** Reads on to the beginning of the next string, number or word. */
function readStructure(reader: ModelReader, from: usize, end: usize): usize {
  let at = from;
  while (at < end) {
    const c = load<u8>(at++);
    const where = reader.where;
    if (c <= SPACE && (c == SPACE || c == LF || c == CR || c == TAB)) continue;
    if (where == AFTER) {
      if (c == COMMA) reader.where = reader.inObject ? MEMBER : VALUE;
      else close(reader, c);
    } else if (where == AFTER_KEY) {
      if (c == COLON) reader.where = VALUE;
      else refuse(reader, BROKEN);
    } else if (where == MEMBER || where == MEMBER_OR_END) {
      if (c == QUOTE) {
        beginText(reader, reader.depth == 1 ? NAME : IGNORED, true);
        return at;
      }
      if (where == MEMBER_OR_END) close(reader, c);
      else refuse(reader, BROKEN);
    } else if (where == ROOT) {
      if (c == OPEN_BRACE) open(reader, c);
      else refuse(reader, BROKEN);
    } else if (where == DONE) refuse(reader, BROKEN);
    else if (c >= ZERO && c <= NINE && !reader.isNamed) {
      const stop = skipNumbers(at - 1, end, !reader.inObject);
      if (stop < at) {
        beginScalar(reader, c);
        return at;
      }
      at = stop;
      reader.where = AFTER;
    } else if (beginValue(reader, c)) return at;
    if (isRefused(reader)) return at;
  }
  return at;
}

/** The first bytes: a byte order mark, once, or none. */
function readMark(reader: ModelReader, c: u8): void {
  const where = reader.where;
  if (where == BEGIN && c == 0xef) reader.where = MARK;
  else if (where == MARK && c == 0xbb) reader.where = MARK_END;
  else if (where == MARK_END && c == 0xbf) reader.where = ROOT;
  else if (where == BEGIN && c == OPEN_BRACE) open(reader, c);
  else if (where == BEGIN && (c == SPACE || c == LF || c == CR || c == TAB)) reader.where = ROOT;
  else refuse(reader, BROKEN);
}

/** Begins a value; true where it is a string, a number or a word. */
function beginValue(reader: ModelReader, c: u8): bool {
  const isModel = reader.isNamed;
  reader.isNamed = false;
  if (c == QUOTE) {
    beginText(reader, isModel ? MODEL : IGNORED, false);
    return true;
  }
  const opens = c == OPEN_BRACE || c == OPEN_BRACKET;
  if (!opens && !beginScalar(reader, c)) {
    if (reader.where == VALUE_OR_END) close(reader, c);
    else refuse(reader, BROKEN);
    return false;
  }
  if (isModel) refuse(reader, NOT_TEXT);
  else if (opens) open(reader, c);
  return !opens;
}

function open(reader: ModelReader, c: u8): void {
  const depth: u32 = reader.depth;
  if (depth == MAX_DEPTH) {
    refuse(reader, TOO_DEEP);
    return;
  }
  // The level that is left for now: one bit, 1 for an object.
  const at = scratch(reader) + (depth >> 3);
  const bit = <u8>((<u32>1) << (depth & 7));
  const others = load<u8>(at) & ~bit;
  store<u8>(at, reader.inObject ? others | bit : others);
  reader.depth = <u16>(depth + 1);
  reader.inObject = c == OPEN_BRACE;
  reader.where = reader.inObject ? MEMBER_OR_END : VALUE_OR_END;
}

function close(reader: ModelReader, c: u8): void {
  if (c != (reader.inObject ? CLOSE_BRACE : CLOSE_BRACKET)) {
    refuse(reader, BROKEN);
    return;
  }
  const depth = <u32>reader.depth - 1;
  reader.depth = <u16>depth;
  reader.inObject = ((load<u8>(scratch(reader) + (depth >> 3)) >> (depth & 7)) & 1) != 0;
  reader.where = depth == 0 ? DONE : AFTER;
}
