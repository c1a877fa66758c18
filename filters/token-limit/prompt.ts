import { decodeNumber, numberEnd, numberValue } from "../format/json-number";
import {
  CLOSE,
  isInNumber,
  isInWord,
  JsonScan,
  KEPT_BYTES,
  KEY,
  keptText,
  NO_TOKEN,
  NUMBER,
  nextToken,
  OPEN_OBJECT,
  STRING,
  token,
  WORD,
} from "../format/json-scan";
import { count, LIMIT_CLAMPED } from "../measure";
import {
  Ascii,
  beginText,
  bodyBytes,
  bodyPtr,
  CONTINUE,
  isLiteral,
  REQUEST_BODY,
  readBody,
  resetArena,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { beginEdit, dropTo, endEdit, keepTo, put, putBytes, putSpaces } from "./edit";
import { needPrompt, reserveCompletion } from "./reservation";
import { findStream, promptJsonOf, Stream } from "./stream";

// Reads a request's body as it passes, for what it costs: how much text there
// is to read and how much may be written. Edits it on the way: max_tokens down
// to what the tenant can pay, stream_options so that the answer tells its usage.
// A number or word that may be edited is held back until its end has come; all
// else goes on at once.

// Keys that mean something where they stand.
const NOTHING: u8 = 0;
const MAXIMUM: u8 = 1;
const STREAM: u8 = 2;
const OPTIONS: u8 = 3;
const INCLUDE_USAGE: u8 = 4;
const CHOICES: u8 = 5;
/** Text that is no text: images, sounds and files. */
const DATA: u8 = 6;

/** Bytes that all insertions together may have; see contentLengthWith. */
export const ROOM: u32 = 96;
/** A piece larger than this is passed unread. */
const MOST_PIECE: u32 = 4 << 20;

/** A piece of the request's body passes by. */
export function onRequestBody(context: u32, bytes: u32, last: bool): i32 {
  resetArena();
  const at = findStream(context);
  if (at == 0) return CONTINUE;
  const stream = changetype<Stream>(at);
  if (!stream.readsPrompt) return CONTINUE;
  if (bytes > MOST_PIECE || !readBody(REQUEST_BODY, bytes)) stream.readsPrompt = false;
  else {
    const scan = promptJsonOf(stream);
    beginEdit(bodyPtr, bodyBytes, scan.bytes);
    readPrompt(stream, bodyPtr, bodyPtr + bodyBytes);
    if (last) flush(stream, bodyPtr + bodyBytes);
    endEdit(REQUEST_BODY, bodyBytes);
  }
  if (last) needPrompt(stream);
  return CONTINUE;
}

function readPrompt(stream: Stream, from: usize, end: usize): void {
  const scan = promptJsonOf(stream);
  // What is left of a number or word that was held back begins this piece.
  let held = isHeld(stream, scan) ? scan.bytes : 0;
  let at = from;
  while (true) {
    at = nextToken(scan, at, end);
    if (token == NO_TOKEN) break;
    if (token == KEY) {
      stream.promptKey = keyOf(stream, scan);
      if (scan.depth == 1) stream.hasMembers = true;
      else if (stream.inOptions && scan.depth == 2) stream.optionsHaveMembers = true;
      continue;
    }
    if (token == NUMBER && stream.promptKey == MAXIMUM) limitMaximum(stream, scan, at, held);
    else if (token == WORD && stream.promptKey == INCLUDE_USAGE) include(stream, scan, at, held);
    else readValue(stream, scan, at);
    held = 0;
    stream.promptKey = NOTHING;
  }
  if (isHeld(stream, scan)) {
    const begun = scan.bytes - held;
    keepTo(end - begun);
    dropTo(end);
  }
}

function isHeld(stream: Stream, scan: JsonScan): bool {
  return (
    (stream.promptKey == MAXIMUM && isInNumber(scan)) ||
    (stream.promptKey == INCLUDE_USAGE && isInWord(scan))
  );
}

function is(scan: JsonScan, name: Ascii): bool {
  return isLiteral(name, keptText(scan), scan.kept);
}

function keyOf(stream: Stream, scan: JsonScan): u8 {
  if (scan.depth == 1) {
    if (is(scan, "stream")) return STREAM;
    if (is(scan, "stream_options")) return OPTIONS;
    if (is(scan, "n")) return CHOICES;
    if (is(scan, "max_tokens") || is(scan, "max_completion_tokens")) return MAXIMUM;
    if (is(scan, "max_output_tokens")) return MAXIMUM;
  } else if (scan.depth == 2 && stream.inOptions)
    return is(scan, "include_usage") ? INCLUDE_USAGE : NOTHING;
  if (is(scan, "url") || is(scan, "data") || is(scan, "file_data") || is(scan, "b64_json"))
    return DATA;
  return NOTHING;
}

function readValue(stream: Stream, scan: JsonScan, at: usize): void {
  if (token == STRING) {
    if (stream.promptKey != DATA) stream.promptBytes += scan.bytes;
  } else if (token == WORD) {
    if (stream.promptKey == STREAM) stream.streams = is(scan, "true");
  } else if (token == NUMBER) {
    if (stream.promptKey == CHOICES) stream.choices = <u32>min(max(numberOf(scan), 1), 128);
  } else if (token == OPEN_OBJECT) {
    if (scan.depth == 2) {
      stream.inOptions = stream.promptKey == OPTIONS;
      stream.optionsHaveMembers = false;
    }
  } else if (token == CLOSE) {
    if (scan.depth == 1 && stream.inOptions) endOptions(stream, at - 1);
    else if (scan.depth == 0) endRoot(stream, at - 1);
  }
}

/** The number told last; beyond all bounds when it is longer than any sensible one. */
function numberOf(scan: JsonScan): f64 {
  if (scan.bytes > KEPT_BYTES) return f64.MAX_VALUE;
  const text = keptText(scan);
  const plain = decodeNumber(text, text + scan.kept) && numberEnd == text + scan.kept;
  return plain ? numberValue : 0;
}

/** A maximum ends before `at`: lowers it to what there is, in as many bytes as it had. */
function limitMaximum(stream: Stream, scan: JsonScan, at: usize, held: u32): void {
  stream.hasMaximum = true;
  const choices = max(stream.choices, 1);
  const asked = numberOf(scan);
  const wanted = stream.most == 0 ? asked : min(asked, <f64>stream.most);
  const most = wanted >= 1 ? <u32>min(wanted * <f64>choices, 1_000_000_000) : 0;
  const granted = max(reserveCompletion(stream, most) / choices, 1);
  const fits = asked == wanted && (!stream.limited || wanted <= <f64>granted);
  if (fits && held == 0) return;
  keepTo(at - (scan.bytes - held));
  dropTo(at);
  if (fits) putBytes(keptText(scan), scan.kept);
  else {
    count(stream.cell, LIMIT_CLAMPED);
    putNumber(min(granted, largestOf(scan.bytes)));
    putSpaces(scan.bytes - writtenBytes());
  }
}

/** The largest number of that many digits: "1e9" has no room for more than 999. */
function largestOf(digits: u32): u32 {
  let largest: u32 = 9;
  for (let i: u32 = 1; i < min<u32>(digits, 9); i++) largest = largest * 10 + 9;
  return largest;
}

function putNumber(value: u64): void {
  beginText();
  writeUint(value);
  putBytes(written(), writtenBytes());
}

/** include_usage ends before `at`: true stays, all else becomes true where usage is wanted. */
function include(stream: Stream, scan: JsonScan, at: usize, held: u32): void {
  stream.optionsTellUsage = true;
  const asks = is(scan, "true");
  stream.clientAsks = asks;
  const change = !asks && stream.wantsUsage && (is(scan, "false") || is(scan, "null"));
  if (!change && held == 0) return;
  keepTo(at - (scan.bytes - held));
  dropTo(at);
  if (!change) {
    putBytes(keptText(scan), scan.kept);
    return;
  }
  put(scan.bytes == 5 ? "true " : "true");
  stream.trims = true;
}

/** stream_options ends with the brace at `at`. */
function endOptions(stream: Stream, at: usize): void {
  stream.inOptions = false;
  stream.hasOptions = true;
  if (stream.optionsTellUsage || !stream.wantsUsage) return;
  keepTo(at);
  insert(stream, stream.optionsHaveMembers ? ',"include_usage":true' : '"include_usage":true');
  stream.optionsTellUsage = true;
  stream.trims = true;
}

/** The document ends with the brace at `at`: what the client left out goes before it. */
function endRoot(stream: Stream, at: usize): void {
  if (stream.hasMembers) {
    if (stream.isCompletion && !stream.hasMaximum) reserveExpected(stream, at);
    if (stream.streams && stream.wantsUsage && !stream.hasOptions) {
      keepTo(at);
      insert(stream, ',"stream_options":{"include_usage":true}');
      stream.trims = true;
    }
  }
  if (stream.room == 0) return;
  keepTo(at);
  fill(stream);
}

/** No maximum was named: reserves what is usual, and names one where there is less or where it is clamped. */
function reserveExpected(stream: Stream, at: usize): void {
  const most = stream.most;
  if (!stream.limited && most == 0) return;
  const choices = max(stream.choices, 1);
  const wanted = (most == 0 ? stream.expectedTokens : most) * choices;
  const granted = reserveCompletion(stream, wanted);
  if ((granted >= wanted && most == 0) || !stream.inserts) return;
  keepTo(at);
  insert(stream, stream.isResponses ? ',"max_output_tokens":' : ',"max_tokens":');
  putNumber(max(granted / choices, 1));
  stream.room -= min(stream.room, <u32>writtenBytes());
  count(stream.cell, LIMIT_CLAMPED);
}

function insert(stream: Stream, text: Ascii): void {
  put(text);
  stream.room -= min(stream.room, <u32>text.length);
}

/** Makes the body as long as its content-length says. */
function fill(stream: Stream): void {
  if (stream.room == 0) return;
  putSpaces(stream.room);
  stream.room = 0;
}

/** The body ends, perhaps in the middle of a document: nothing of it may be missing. */
function flush(stream: Stream, end: usize): void {
  const scan = promptJsonOf(stream);
  if (isHeld(stream, scan)) {
    keepTo(end);
    putBytes(keptText(scan), scan.kept);
    putSpaces(scan.bytes - scan.kept);
  }
  if (stream.room > 0) keepTo(end);
  fill(stream);
}

/** Whether bytes of the body are still owed to the pods. */
export function owesBytes(stream: Stream): bool {
  return stream.readsPrompt && (stream.room > 0 || isHeld(stream, promptJsonOf(stream)));
}
