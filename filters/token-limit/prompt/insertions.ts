import { FLAT, UNKNOWN_CALL, WRITES } from "../../apis";
import { JsonScan } from "../../format/json-scan";
import { Ascii, writtenBytes } from "../../sdk";
import { keepTo, put, putSpaces } from "../body-edit";
import { correctPromptEstimate, reserveCompletion } from "../budget/reservation";
import { Stream } from "../stream";
import { denyTokens } from "./body-refusal";
import { takeValue } from "./held-value";
import { answersOf, fillUp, hasName, putUsual, usualMaximum } from "./maximum";

// What a request leaves out and has to say: that usage is told, and how many tokens
// an answer may have.

/** Bytes that all insertions together may have. */
export const ROOM: u32 = 160;
/** Tokens that pictures and sound cost where their servers tell none. */
export const FLAT_TOKENS: u32 = 256;

const streamOptions: Ascii = ',"stream_options":{"include_usage":true}';

/** include_usage ends before `at`: true stays, all else becomes true where usage is wanted. */
export function include(stream: Stream, scan: JsonScan, at: usize, held: u32, isTrue: bool): void {
  stream.optionsTellUsage = true;
  stream.clientAsks = isTrue;
  const change = stream.wantsUsage && !isTrue;
  if (!takeValue(scan, scan.bytes, at, held, change)) return;
  put("true");
  fillUp(stream, scan.bytes, 4);
  stream.trims = true;
}

/** Options, of the stream or of the model, end with the brace at `at`. */
export function endInner(stream: Stream, ofStream: bool, at: usize): void {
  if (ofStream ? stream.optionsTellUsage || !stream.wantsUsage : !lacksMaximum(stream)) return;
  if (!ofStream && stream.api.innerMaximum.length == 0) return;
  keepTo(at);
  if (stream.hasInner) insert(stream, ",");
  if (ofStream) {
    insert(stream, '"include_usage":true');
    stream.optionsTellUsage = true;
    stream.trims = true;
  } else insertMaximum(stream, stream.api.innerMaximum);
}

/** Options are null: they are put here, for no name may stand there twice. */
export function nullInner(
  stream: Stream,
  scan: JsonScan,
  at: usize,
  held: u32,
  ofStream: bool,
): void {
  const change = ofStream
    ? stream.wantsUsage && stream.streams
    : lacksMaximum(stream) && stream.api.innerMaximum.length > 0;
  if (!takeValue(scan, scan.bytes, at, held, change)) return;
  // The four letters that go make room for others.
  if (stream.sized) stream.room += scan.bytes;
  insert(stream, "{");
  if (ofStream) {
    insert(stream, '"include_usage":true');
    stream.optionsTellUsage = true;
    stream.trims = true;
  } else insertMaximum(stream, stream.api.innerMaximum);
  insert(stream, "}");
}

/** The document ends with the brace at `at`: what the client left out goes before it. */
export function endRoot(stream: Stream, at: usize): void {
  stream.isRead = true;
  if (stream.hasMembers) {
    reserveAnswer(stream, at);
    if (!correctPromptEstimate(stream)) denyTokens();
    if (
      stream.streams &&
      stream.wantsUsage &&
      !stream.optionsTellUsage &&
      !hasName(stream, streamOptions)
    ) {
      keepTo(at);
      insert(stream, streamOptions);
      stream.trims = true;
    }
  }
  if (stream.room == 0) return;
  keepTo(at);
  putSpaces(stream.room);
  stream.room = 0;
}

/** All of a request is known: what its answers may cost has to be there. */
function reserveAnswer(stream: Stream, at: usize): void {
  const api = stream.api;
  if (lacksMaximum(stream)) {
    keepTo(at);
    insertMaximum(stream, api.maximum);
    insert(stream, api.afterMaximum);
  }
  const need = <u32>min(stream.maximum * answersOf(stream), 4_000_000_000);
  if (need == 0) reserveUnread(stream);
  else if (stream.limited && reserveCompletion(stream, need) < need) denyTokens();
}

/** Whether a maximum has to be put into the request. */
function lacksMaximum(stream: Stream): bool {
  const api = stream.api;
  if (stream.hasMaximum || !stream.inserts) return false;
  return (
    api.price == WRITES ||
    (api.needsPrompt && (hasName(stream, ',"messages":') || hasName(stream, ',"prompt":')))
  );
}

/** Reserves what a call costs whose answer has no maximum, as far as it is there. */
export function reserveUnread(stream: Stream): void {
  const price = stream.api.price;
  if (price == FLAT) reserveCompletion(stream, <u32>min(FLAT_TOKENS * answersOf(stream), 1e9));
  else if (price == UNKNOWN_CALL) reserveCompletion(stream, usualMaximum(stream));
}

function insertMaximum(stream: Stream, name: Ascii): void {
  insert(stream, name);
  putUsual(stream);
  stream.room -= min(stream.room, <u32>writtenBytes());
}

function insert(stream: Stream, text: Ascii): void {
  put(text);
  stream.room -= min(stream.room, <u32>text.length);
}
