import { findScanned, meaningOf, nameBytesOf, nameOf, placeOf, UNKNOWN_CALL } from "../../apis";
import { ZERO } from "../../format/ascii-codes";
import {
  CLOSE,
  isBroken,
  isInNumber,
  isInText,
  isInWord,
  JsonScan,
  KEPT_BYTES,
  KEY,
  keptText,
  NO_TOKEN,
  nextToken,
  OPEN_ARRAY,
  OPEN_OBJECT,
  STRING,
  WORD,
} from "../../format/json-scan";
import { numberIn } from "../../format/scanned-number";
import {
  Ascii,
  CONTINUE,
  isLiteral,
  REQUEST_BODY,
  readBody,
  resetArena,
  Span,
  STOP_ITERATION,
} from "../../sdk";
import {
  beginEdit,
  dropTo,
  endEdit,
  hasEditFailed,
  keepTo,
  put,
  putBytes,
  putSpaces,
} from "../body-edit";
import { notePrompt } from "../budget/reservation";
import { MESSAGES, PROMPTS, readText, TOKENS } from "../budget/text";
import { enter, levelAt } from "../levels";
import { findStream, promptJsonOf, Stream } from "../stream";
import { isAlike } from "./alike";
import {
  beginDenial,
  denyBody,
  denyField,
  denyPiece,
  denyRepeated,
  finishDenial,
  isDenied,
} from "./body-refusal";
import { endInner, endRoot, include, nullInner, reserveUnread } from "./insertions";
import { bindMaximum, limitMaximum, MAXIMUM, nullMaximum } from "./maximum";

// Reads a request's body as it passes, for what it costs: how much text there
// is to read and how much may be written. Edits it on the way: maxima down
// to what the tenant can pay, stream_options so that the answer tells its usage.
// A value that may be edited is held back until its end has come; all else goes
// on at once. What names mean is said in ../../apis.

// Levels and letters of requests, as ../../apis has them.
const ROOT: u32 = 1;
const OPTIONS: u32 = 2; // b
const INNER: u32 = 4; // d
const LETTER_B: u8 = 0x62;
const LETTER_D: u8 = 0x64;
const LATER: u8 = 0x6b; // k
const BOUND: u8 = 0x6c; // l
const SOME_MAXIMUM: u8 = 0x6a; // j
const CHOICES: u8 = 0x6e; // n
const PROMPT_LIST: u8 = 0x70; // p
const MESSAGE_LIST: u8 = 0x71; // q
const STREAM: u8 = 0x73; // s
const THINKING: u8 = 0x74; // t
const INCLUDE: u8 = 0x75; // u

/** A piece larger than this is not read. */
const MAX_PIECE: u32 = 4 << 20;

/** A piece of the request's body passes by. */
export function onRequestBody(context: u32, bytes: u32, last: bool): i32 {
  resetArena();
  const stream = findStream(context);
  if (stream === null) return CONTINUE;
  if (stream.readsPrompt) {
    beginDenial();
    readPiece(stream, bytes, last);
    if (isDenied()) {
      finishDenial(stream);
      return STOP_ITERATION;
    }
  }
  notePrompt(stream, bytes);
  return CONTINUE;
}

function readPiece(stream: Stream, bytes: u32, last: bool): void {
  const piece: Span | null = bytes > MAX_PIECE ? null : readBody(REQUEST_BODY, bytes);
  if (piece === null) {
    denyPiece();
    return;
  }
  const scan = promptJsonOf(stream);
  const ptr = piece.ptr;
  const end = ptr + piece.bytes;
  beginEdit(ptr, piece.bytes, min(scan.bytes, KEPT_BYTES));
  readPrompt(stream, ptr, end);
  if (isDenied()) return;
  if (isBroken(scan) || (last && scan.depth > 0)) giveUp(stream);
  if (last) {
    flush(stream, end);
    if (!stream.isRead) reserveUnread(stream);
  }
  endEdit(REQUEST_BODY, end - ptr);
  if (hasEditFailed() && stream.limited) denyPiece();
}

/** What is no JSON is refused where tokens are limited, but for calls that may be anything. */
function giveUp(stream: Stream): void {
  if (stream.limited && stream.api.price != UNKNOWN_CALL) denyBody();
}

function readPrompt(stream: Stream, from: usize, end: usize): void {
  const scan = promptJsonOf(stream);
  // What is left of a value that was held back begins this piece.
  let held = heldBytes(stream, scan);
  let at = from;
  while (!isDenied()) {
    at = nextToken(scan, at, end);
    if (scan.token == NO_TOKEN) break;
    if (scan.token == KEY) {
      readKey(stream, scan);
      continue;
    }
    if (scan.token == OPEN_OBJECT || scan.token == OPEN_ARRAY) open(stream, scan);
    else if (scan.token == CLOSE) close(stream, scan, at - 1);
    else readValue(stream, scan, at, held);
    held = 0;
    stream.promptKey = 0;
  }
  const begun = heldBytes(stream, scan);
  if (begun == 0) return;
  if (scan.bytes > KEPT_BYTES || scan.escaped > 0) denyValue(stream, " is no number");
  keepTo(end - (begun - held));
  dropTo(end);
}

function isMaximum(key: u8): bool {
  return key == MAXIMUM || key == SOME_MAXIMUM;
}

/** Bytes of a value that may be edited and is only begun, with the quote before a text. */
function heldBytes(stream: Stream, scan: JsonScan): u32 {
  const key = stream.promptKey;
  if (key == 0) return 0;
  const maximum = isMaximum(key);
  if (maximum && isInText(scan)) return scan.bytes + 1;
  const held =
    (maximum && (isInNumber(scan) || isInWord(scan))) ||
    ((key == INCLUDE || key == LETTER_B || key == LETTER_D) && isInWord(scan));
  return held ? scan.bytes : 0;
}

function readKey(stream: Stream, scan: JsonScan): void {
  const level = levelAt(stream.promptWhere, scan.depth);
  stream.promptKey = 0;
  if (level == ROOT) stream.hasMembers = true;
  else if (level == OPTIONS || level == INNER) stream.hasInner = true;
  const entry = findScanned(stream.api.request, level, scan);
  if (entry == 0) {
    if (level != 0 && isAlike(stream, scan, level))
      denyField(keptText(scan), scan.kept, " is spelled in a way that servers read differently");
    return;
  }
  const bit = (<u64>1) << placeOf(entry);
  if ((stream.seen & bit) != 0) denyRepeated(scan);
  stream.seen |= bit;
  stream.named = entry;
  stream.promptKey = <u8>meaningOf(entry);
}

function is(scan: JsonScan, name: Ascii): bool {
  return isLiteral(name, keptText(scan), scan.kept);
}

/** Refuses the value of the name read last. */
function denyValue(stream: Stream, reason: Ascii): void {
  denyField(nameOf(stream.named), nameBytesOf(stream.named), reason);
}

function open(stream: Stream, scan: JsonScan): void {
  const key = stream.promptKey;
  const parent = levelAt(stream.promptWhere, scan.depth - 1);
  const isArray = scan.token == OPEN_ARRAY;
  let level: u32 = 0;
  if (scan.depth == 1) {
    if (!isArray) level = ROOT;
    else giveUp(stream);
  } else if (key == LETTER_B || key == 0x63 || key == LETTER_D) {
    if (isArray) denyValue(stream, " is no object");
    stream.hasInner = false;
    level = key - 0x60;
  } else if (key == PROMPT_LIST) {
    if (isArray) level = PROMPTS;
  } else if (key == MESSAGE_LIST) {
    if (isArray) level = MESSAGES;
  } else if (isMaximum(key) || key == CHOICES || key == BOUND || key == THINKING)
    denyValue(stream, " is no number");
  else if (parent == PROMPTS || (parent == MESSAGES && isArray)) {
    stream.prompts++;
    if (isArray) level = TOKENS;
  } else if (parent == TOKENS && isArray) level = TOKENS;
  stream.promptWhere = enter(stream.promptWhere, scan.depth, level);
}

function close(stream: Stream, scan: JsonScan, at: usize): void {
  const level = levelAt(stream.promptWhere, scan.depth + 1);
  if (level == OPTIONS || level == INNER) endInner(stream, level == OPTIONS, at);
  else if (scan.depth == 0 && level == ROOT) endRoot(stream, at);
}

function readValue(stream: Stream, scan: JsonScan, at: usize, held: u32): void {
  const key = stream.promptKey;
  if (key == 0) {
    readText(stream, scan);
    return;
  }
  if (scan.token == WORD) {
    readWord(stream, scan, at, held);
    return;
  }
  if (isMaximum(key) || key == CHOICES || key == BOUND || key == THINKING) {
    const isText = scan.token == STRING;
    const number = numberIn(scan);
    if (isNaN(number) || (isText && (scan.bytes != scan.kept || scan.bytes > 15)))
      denyValue(stream, " is no number");
    else if (isMaximum(key)) limitMaximum(stream, scan, at, held, number, isText);
    else if (key == CHOICES) stream.choices = max(stream.choices, Math.ceil(number));
    else bindMaximum(stream, number + (key == THINKING ? 1 : 0));
  } else if (key == STREAM) {
    // Whatever is not plainly no asks for a stream in pydantic's eyes.
    const first = load<u8>(keptText(scan)) | 0x20;
    stream.streams = scan.bytes > 0 && first != 0x66 && first != 0x6e && first != ZERO;
  } else if (key == LETTER_D) denyValue(stream, " is no object");
  else if (scan.token == STRING && (key == PROMPT_LIST || key == MESSAGE_LIST))
    readText(stream, scan);
}

/** true, false or null. */
function readWord(stream: Stream, scan: JsonScan, at: usize, held: u32): void {
  const key = stream.promptKey;
  const isNull = is(scan, "null");
  const isTrue = is(scan, "true");
  if (isMaximum(key)) {
    if (isNull) nullMaximum(stream, scan, at, held);
    else denyValue(stream, " is no number");
  } else if (key == INCLUDE) include(stream, scan, at, held, isTrue);
  else if (key == LETTER_B || key == LETTER_D) {
    if (isNull) nullInner(stream, scan, at, held, key == LETTER_B);
    else if (key == LETTER_D) denyValue(stream, " is no object");
    else {
      keepTo(at - (scan.bytes - held));
      if (held > 0) putBytes(keptText(scan), held);
    }
  } else if (key == STREAM) stream.streams = isTrue;
  else if (key == LATER) stream.isLater = isTrue;
  else if (!isNull && !isTrue && key == CHOICES && !is(scan, "false"))
    denyValue(stream, " is no number");
}

/** The body ends, perhaps in the middle of a document: nothing of it may be missing. */
function flush(stream: Stream, end: usize): void {
  const scan = promptJsonOf(stream);
  if (heldBytes(stream, scan) > 0) {
    keepTo(end);
    if (isInText(scan)) put('"');
    putBytes(keptText(scan), scan.kept);
  }
  if (stream.room == 0) return;
  keepTo(end);
  putSpaces(stream.room);
  stream.room = 0;
}

/** Whether bytes of the body are still owed to the pods. */
export function owesBytes(stream: Stream): bool {
  return stream.readsPrompt && (stream.room > 0 || heldBytes(stream, promptJsonOf(stream)) > 0);
}
