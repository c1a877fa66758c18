import { CR, HYPHEN, LF, TAB } from "../format/ascii-codes";
import { takeBoundary } from "./boundary";
import { beginData, beginPart, readHeaderLine } from "./part-header";
import {
  ABSENT,
  BROKEN,
  endModelText,
  FOUND,
  IGNORED,
  isRefused,
  keep,
  MODEL,
  ModelReader,
  NOT_TEXT,
  putByte,
  refuse,
  scratch,
} from "./reader";
import { skipToReturn } from "./skip";
import { isUtf8 } from "./utf8";

// multipart/form-data (RFC 7578) as all of Starlette, Go and cpp-httplib read it: lines end in CR LF,
// nothing stands before the first boundary nor behind the last, and a boundary has nothing behind it in
// its line. Where one of these is otherwise, some servers see a boundary and others data.

/** Where in a form the next byte stands. */
const DATA: u8 = 0;
/** Behind a boundary, where the line ends, or the form. */
const DELIMITED: u8 = 1;
const DELIMITED_CR: u8 = 2;
const LAST: u8 = 3;
const LINE: u8 = 4;
const LINE_CR: u8 = 5;
const DONE: u8 = 6;
const DONE_CR: u8 = 7;
const DONE_LF: u8 = 8;

/** Makes ready for the first boundary, which has no line before it; false where none is known. */
export function beginForm(reader: ModelReader, contentType: usize, bytes: usize): bool {
  if (!takeBoundary(reader, contentType, contentType + bytes)) return false;
  reader.matched = 2;
  reader.where = DATA;
  return true;
}

export function readForm(reader: ModelReader, from: usize, end: usize): void {
  let at = from;
  while (at < end && !isRefused(reader))
    if (reader.where == DATA) at = readData(reader, at, end);
    else readFrame(reader, load<u8>(at++));
}

/** The body is whole. */
export function endForm(reader: ModelReader): void {
  if (reader.where != DONE && reader.where != DONE_LF) refuse(reader, BROKEN);
  else if (reader.state != FOUND) reader.state = ABSENT;
}

/** Reads on in the data of a part, behind the next delimiter at most. */
function readData(reader: ModelReader, from: usize, end: usize): usize {
  const delimiter = scratch(reader);
  let at = from;
  while (at < end && !isRefused(reader)) {
    let matched: u32 = reader.matched;
    if (matched == 0 && reader.takes == IGNORED) {
      at = skipToReturn(at, end);
      if (at == end) break;
    }
    const c = load<u8>(at++);
    if (c == load<u8>(delimiter + matched)) {
      reader.matched = <u8>++matched;
      if (matched < reader.delimiterBytes) continue;
      endData(reader);
      return at;
    }
    mismatch(reader, c);
  }
  return at;
}

/** What looked like a delimiter is data. There is no CR in a delimiter but its first byte. */
function mismatch(reader: ModelReader, c: u8): void {
  if (!reader.hasName) {
    refuse(reader, BROKEN);
    return;
  }
  if (reader.takes == MODEL)
    for (let i: u32 = reader.atStart ? 2 : 0; i < reader.matched && !isRefused(reader); i++)
      putByte(reader, load<u8>(scratch(reader) + i));
  reader.atStart = false;
  reader.matched = c == CR ? 1 : 0;
  if (c == CR || reader.takes != MODEL || isRefused(reader)) return;
  if (isUtf8(reader, c)) putByte(reader, c);
  else refuse(reader, NOT_TEXT);
}

function endData(reader: ModelReader): void {
  // Data that begin with the delimiter without its CR LF are none for Go, and data for Starlette.
  if (reader.hasName && reader.atStart) {
    refuse(reader, BROKEN);
    return;
  }
  if (reader.takes == MODEL) {
    if (reader.charLeft > 0) refuse(reader, NOT_TEXT);
    else endModelText(reader);
  }
  beginPart(reader);
  reader.where = DELIMITED;
}

/** A byte of what is between the data of parts. */
function readFrame(reader: ModelReader, c: u8): void {
  const where = reader.where;
  if (where == LINE) {
    if (c == CR) reader.where = LINE_CR;
    else if ((c < 0x20 && c != TAB) || c == 0x7f) refuse(reader, BROKEN);
    else keep(reader, c);
  } else if (where == LINE_CR) {
    if (c == LF) endLine(reader);
    else refuse(reader, BROKEN);
  } else if (where == DELIMITED && c == CR) reader.where = DELIMITED_CR;
  else if (where == DELIMITED_CR && c == LF) reader.where = LINE;
  else if (where == DELIMITED && c == HYPHEN) reader.where = LAST;
  else if (where == LAST && c == HYPHEN) reader.where = DONE;
  else if (where == DONE && c == CR) reader.where = DONE_CR;
  else if (where == DONE_CR && c == LF) reader.where = DONE_LF;
  else refuse(reader, BROKEN);
}

function endLine(reader: ModelReader): void {
  if (reader.kept > 0) {
    reader.where = LINE;
    if (!readHeaderLine(reader)) refuse(reader, BROKEN);
    reader.kept = 0;
    return;
  }
  reader.where = DATA;
  reader.atStart = true;
  reader.matched = 2;
  beginData(reader);
}
