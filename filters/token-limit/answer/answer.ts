import { findScanned, meaningOf } from "../../apis";
import { NINE } from "../../format/ascii-codes";
import {
  CLOSE,
  JsonScan,
  KEY,
  keptText,
  NO_TOKEN,
  NUMBER,
  nextToken,
  OPEN_ARRAY,
  OPEN_OBJECT,
  resetScan,
  WORD,
} from "../../format/json-scan";
import { numberIn } from "../../format/scanned-number";
import { enter, levelAt } from "../levels";
import { clearEventUsage, jsonOf, Stream, setEventUsage } from "../stream";

// What an answer, or one event of it, says about tokens. The path to a value
// decides what it means, so nothing that a model writes can pass for usage. What
// names mean is said in ../../apis.

// Levels and letters of answers, as ../../apis has them.
const ROOT: u32 = 1;
const LIST: u32 = 2; // b
const CHOICE: u32 = 3;
/** What is written, or the next part of it. */
const DELTA: u32 = 4;
const USAGE: u32 = 5;
const FAILURE: u32 = 8;
const STATUSES: u32 = 13;
const REASONS: u32 = 14;
const TYPES: u32 = 15;
const DONE: u8 = 0x44; // D
const FAILED: u8 = 0x45; // E
const REASON: u8 = 0x46; // F
const INCOMPLETE: u8 = 0x47; // G
const INDEX: u8 = 0x49; // I
const OF_ONE: u8 = 0x4c; // L
const NUMBER_OF_EVENT: u8 = 0x51; // Q
const STATUS: u8 = 0x56; // V
const TEXT: u8 = 0x58; // X
const TYPE: u8 = 0x59; // Y
const TO_DELTA: u8 = 0x64;
const TO_FAILURE: u8 = 0x68;

/** More tokens than any answer has: what is beyond is no usage. */
const MAX_TOKENS: f64 = 100_000_000;

/** Forgets what the event before said. */
export function beginAnswer(stream: Stream): void {
  resetScan(jsonOf(stream));
  stream.where = 0;
  stream.key = 0;
  stream.hasContent = false;
  stream.hasChoices = false;
  stream.hasList = false;
  stream.hasUsage = false;
  stream.hasFailed = false;
  stream.isLast = false;
  stream.hasData = false;
  stream.passes = false;
  stream.finishes = 0;
}

/** Where the head of an event begins and ends in a piece; 0 where it is not in it. */
@unmanaged
class EventHead {
  from: usize;
  to: usize;
}

/** The one in the piece that was read last. */
export const head = changetype<EventHead>(memory.data(<i32>offsetof<EventHead>(), 8));

/** Reads a piece of an answer or of an event's data. */
export function readAnswer(stream: Stream, from: usize, end: usize): void {
  const scan = jsonOf(stream);
  const api = stream.api;
  let at = from;
  head.from = 0;
  head.to = 0;
  while (true) {
    at = nextToken(scan, at, end);
    if (scan.token == NO_TOKEN) return;
    if (scan.token == KEY) {
      const level = levelAt(stream.where, scan.depth);
      const entry = findScanned(api.answer, level, scan);
      stream.key = entry != 0 ? <u8>meaningOf(entry) : level == DELTA ? TEXT : 0;
      if (stream.key == api.headEnd && head.to == 0) head.to = at - scan.bytes - 2;
    } else {
      if (scan.token == OPEN_OBJECT || scan.token == OPEN_ARRAY) {
        const level = opened(stream, scan);
        if (level == api.headLevel) head.from = at;
      } else if (scan.token != CLOSE) readValue(stream, scan);
      stream.key = 0;
    }
  }
}

/** Whether the whole of an object was read. */
export function isWhole(stream: Stream): bool {
  const scan = jsonOf(stream);
  return scan.depth == 0 && levelAt(stream.where, 1) == ROOT;
}

/** A level opened, the innermost now; returns its kind. */
function opened(stream: Stream, scan: JsonScan): u32 {
  const depth = scan.depth;
  const parent = levelAt(stream.where, depth - 1);
  let kind: u32 = 0;
  if (depth == 1) kind = scan.token == OPEN_OBJECT ? ROOT : 0;
  else if (parent == LIST) {
    stream.hasChoices = true;
    kind = CHOICE;
  } else if (stream.key >= 0x61) {
    kind = stream.key - 0x60;
    if (kind == LIST) stream.hasList = true;
    else if (kind == FAILURE) stream.hasFailed = true;
    else if (kind == USAGE) {
      stream.hasUsage = true;
      clearEventUsage(stream);
    }
  } else if (parent == DELTA) kind = DELTA;
  else if (stream.key == OF_ONE) stream.tellsOfOne = true;
  stream.where = enter(stream.where, depth, kind);
  return kind;
}

function readValue(stream: Stream, scan: JsonScan): void {
  const key = stream.key;
  // What stands in the list itself is a choice as well.
  if (key == 0) {
    if (levelAt(stream.where, scan.depth) == LIST) stream.hasChoices = true;
  } else if (key <= NINE) readUsage(stream, scan, key - 0x30);
  else if (scan.token == WORD) {
    if (key == DONE && load<u8>(keptText(scan)) == 0x74) stream.isLast = true;
  } else if (scan.token == NUMBER) {
    const number = numberIn(scan);
    if (isNaN(number)) return;
    if (key == INDEX) stream.block = <u32>number;
    else if (key == NUMBER_OF_EVENT) stream.sequence = <u32>number;
  } else if (scan.bytes > 0) readString(stream, scan, key);
}

function readString(stream: Stream, scan: JsonScan, key: u8): void {
  if (key == TEXT || key == TO_DELTA) {
    stream.hasContent = true;
    stream.contentBytes += scan.bytes - scan.escaped;
  } else if (key == REASON) stream.finishes += finishOf(stream, scan, REASONS, 0x6f);
  else if (key == INCOMPLETE) stream.finishes = finishOf(stream, scan, REASONS, 0x6f);
  else if (key == STATUS) {
    if (stream.finishes == 0) stream.finishes = finishOf(stream, scan, STATUSES, 0);
  } else if (key == TYPE) readWord(stream, wordOf(stream, scan, TYPES));
  else if (key == TO_FAILURE) stream.hasFailed = true;
}

function readUsage(stream: Stream, scan: JsonScan, usage: i32): void {
  const number = numberIn(scan);
  if (scan.token == WORD || !(number >= 0 && number <= MAX_TOKENS)) return;
  stream.hasUsage = true;
  setEventUsage(stream, usage, <i64>Math.ceil(number));
}

/** The letter of a word at this level; 0 for none. */
function wordOf(stream: Stream, scan: JsonScan, level: u32): u8 {
  const entry = findScanned(stream.api.answer, level, scan);
  return entry == 0 ? 0 : <u8>meaningOf(entry);
}

function readWord(stream: Stream, word: u8): void {
  if (word == DONE) stream.isLast = true;
  else if (word == FAILED) {
    stream.isLast = true;
    stream.hasFailed = true;
  }
}

/** One finish reason, as it is added up in `finishes`; see ./events for their order. */
function finishOf(stream: Stream, scan: JsonScan, level: u32, other: u8): u64 {
  const word = wordOf(stream, scan, level);
  readWord(stream, word);
  switch (word == 0 ? other : word) {
    case 0x73:
      return 1; // s
    case 0x6c:
      return 1 << 8; // l
    case 0x74:
      return 1 << 16; // t
    case 0x63:
      return 1 << 24; // c
    case 0x66:
      return (<u64>1) << 32; // f
    case 0x6f:
      return (<u64>1) << 40; // o
  }
  return 0;
}
