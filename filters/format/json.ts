import { Ascii, copyText, isLiteral, Region, Span, Text } from "../sdk";
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  CR,
  LF,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  SPACE,
  TAB,
} from "./ascii-codes";
import { DecodedNumber, decodeNumber } from "./json-number";
import { decodeString } from "./json-text";
import { addName, closeNameSet } from "./name-set";
import { xxh64 } from "./xxh64";

// A strict pull parser for one document at a time (RFC 8259): what asks for a
// value that is not there gets false, and the first failure is kept with the
// path where it happened. Strings are decoded in place, so the document's bytes
// must belong to the caller.

/** Deeper documents are refused. */
const MAX_DEPTH: i32 = 32;
/** Larger documents are refused. */
const MAX_BYTES: usize = 1 << 20;

let at: usize = 0;
let end: usize = 0;
let depth: i32 = 0;
let objects: u64 = 0;

/** One entry per open object or array: where its current name stands, or the index. */
@unmanaged
class Frame {
  namePtr: usize;
  nameBytes: usize;
  /** -1 in an object. */
  index: i32;
  started: bool;
  /** Number of the object in its document. */
  id: u64;
}
const frames: usize = memory.data((MAX_DEPTH + 1) * <i32>offsetof<Frame>(), 8);

let failure: Ascii = "";

/** What was wrong, empty while nothing is; a literal. */
export function jsonFailure(): Ascii {
  return failure;
}

/** Whether anything was wrong so far: values read since then mean nothing. */
export function hasFailed(): bool {
  return failure.length > 0;
}

/** The string or the member name read last. */
export const jsonString = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));
const number = changetype<DecodedNumber>(memory.data(<i32>offsetof<DecodedNumber>(), 8));

function frame(level: i32): Frame {
  return changetype<Frame>(frames + <usize>level * offsetof<Frame>());
}

/** Starts a document; a byte order mark is skipped. */
export function openJson(ptr: usize, bytes: usize): bool {
  at = ptr;
  end = ptr + bytes;
  depth = 0;
  objects = 0;
  failure = "";
  if (bytes > MAX_BYTES) return failJson("is over 1048576 bytes");
  if (bytes >= 3 && load<u8>(ptr) == 0xef && load<u8>(ptr, 1) == 0xbb && load<u8>(ptr, 2) == 0xbf)
    at += 3;
  return true;
}

/** Ends a document: nothing may follow the value. True when all of it was right. */
export function closeJson(): bool {
  closeNameSet();
  if (failure.length > 0) return false;
  skipSpace();
  return at == end || failJson("has text after its end");
}

/** Records a failure at the current path, if it is the first. Always false. */
export function failJson(message: Ascii): bool {
  if (failure.length == 0) failure = message;
  return false;
}

/** Records that the member read last is none that is known here. */
export function unknownField(): void {
  failJson("is an unknown field");
}

function notJson(): bool {
  return failJson("is not valid JSON");
}

function skipSpace(): void {
  while (at < end) {
    const c = load<u8>(at);
    if (c != SPACE && c != LF && c != CR && c != TAB) return;
    at++;
  }
}

function take(byte: u8): bool {
  skipSpace();
  if (at >= end || load<u8>(at) != byte) return false;
  at++;
  return true;
}

function peek(): u8 {
  skipSpace();
  return at < end ? load<u8>(at) : 0;
}

function open(index: i32): bool {
  if (depth >= MAX_DEPTH) return failJson("is nested deeper than 32");
  const top = frame(depth);
  top.namePtr = 0;
  top.nameBytes = 0;
  top.index = index;
  top.started = false;
  top.id = ++objects;
  depth++;
  return true;
}

export function openObject(): bool {
  if (!take(OPEN_BRACE)) return failJson("must be an object");
  return open(-1);
}

/** Moves to the next member and reads its name; false at the end of the object and after a failure. */
export function nextMember(): bool {
  if (failure.length > 0) return false;
  const top = frame(depth - 1);
  if (take(CLOSE_BRACE)) {
    depth--;
    return false;
  }
  if (top.started && !take(COMMA)) return notJson();
  top.started = true;
  if (!take(QUOTE) || !decode()) return notJson();
  const name = jsonString.ptr;
  const bytes = jsonString.bytes;
  top.namePtr = name;
  top.nameBytes = bytes;
  if (!take(COLON)) return notJson();
  return addName(xxh64(name, bytes, top.id)) || failJson("is there twice");
}

/** Whether the member read last has this name. */
export function member(name: Ascii): bool {
  const top = frame(depth - 1);
  return isLiteral(name, top.namePtr, top.nameBytes);
}

export function openArray(): bool {
  if (!take(OPEN_BRACKET)) return failJson("must be a list");
  return open(0);
}

/** Moves to the next element; false at the end of the list and after a failure. */
export function nextElement(): bool {
  if (failure.length > 0) return false;
  const top = frame(depth - 1);
  if (take(CLOSE_BRACKET)) {
    depth--;
    return false;
  }
  if (top.started) {
    if (!take(COMMA)) return notJson();
    top.index++;
  }
  top.started = true;
  return true;
}

/** Reads on behind an opening quote; false when no string stands there. */
function decode(): bool {
  const next = decodeString(at, end, jsonString);
  if (next == 0) return false;
  at = next;
  return true;
}

/** Reads a string into jsonString. */
export function readString(): bool {
  if (failure.length > 0) return false;
  if (!take(QUOTE)) return failJson("must be a string");
  return decode() || failJson("is not a valid string");
}

/** Whether the string read last is this one. */
export function isString(text: Ascii): bool {
  return isLiteral(text, jsonString.ptr, jsonString.bytes);
}

/** A copy of the string read last. */
export function keepString(region: Region): Text {
  return copyText(region, jsonString.ptr, jsonString.bytes);
}

/** Reads a number between two limits, both included; 0 after a failure. */
export function readNumber(min: i32, max: i32): f64 {
  if (hasFailed()) return 0;
  skipSpace();
  if (!decodeNumber(at, end, number)) {
    failJson("must be a number");
    return 0;
  }
  at = number.end;
  return within(min, max);
}

// Whole limits, so that callers' code holds no constants of eight bytes.
function within(min: i32, max: i32): f64 {
  const value = number.value;
  if (value >= min && value <= max) return value;
  failJson("is out of range");
  return 0;
}

/** Reads a whole number; proto JSON writes those of 64 bits as strings, which is accepted too. */
export function readInteger(min: i32, max: i32): i32 {
  let value: f64 = 0;
  if (peek() != QUOTE) value = readNumber(min, max);
  else if (readString()) {
    const ptr = jsonString.ptr;
    const stringEnd = ptr + jsonString.bytes;
    if (decodeNumber(ptr, stringEnd, number) && number.end == stringEnd) value = within(min, max);
    else failJson("must be a whole number");
  }
  if (Math.floor(value) != value) failJson("must be a whole number");
  return <i32>value;
}

/** Reads true or false; the result is only meaningful without a failure. */
export function readBool(): bool {
  if (word("true")) return true;
  if (!word("false")) failJson("must be true or false");
  return false;
}

function word(text: Ascii): bool {
  skipSpace();
  const bytes = <usize>text.length;
  if (end - at < bytes || !isLiteral(text, at, bytes)) return false;
  at += bytes;
  return true;
}

/** Reads any value and checks that it is well formed. */
export function skipValue(): bool {
  const c = peek();
  if (c == OPEN_BRACE) {
    openObject();
    while (nextMember()) skipValue();
  } else if (c == OPEN_BRACKET) {
    openArray();
    while (nextElement()) skipValue();
  } else if (c == QUOTE) readString();
  else if (!word("true") && !word("false") && !word("null")) {
    skipSpace();
    if (!decodeNumber(at, end, number)) return notJson();
    at = number.end;
  }
  return failure.length == 0;
}

/** Depth of the failure's path, and its segments from the outside in. */
export function pathDepth(): i32 {
  return depth;
}
export function pathIndex(level: i32): i32 {
  return frame(level).index;
}
export function pathNamePtr(level: i32): usize {
  return frame(level).namePtr;
}
export function pathNameBytes(level: i32): usize {
  return frame(level).nameBytes;
}
