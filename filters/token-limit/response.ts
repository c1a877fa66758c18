import {
  DATA,
  DATA_END,
  EVENT_END,
  NO_PIECE,
  nextPiece,
  piece,
  pieceFrom,
  pieceTo,
} from "../format/sse";
import { count, FIRST_BYTE_MS, FIRST_TOKEN_MS, observe, RESPONSES, TOKEN_GAP_MS } from "../measure";
import {
  bodyBytes,
  bodyPtr,
  CONTINUE,
  findHeader,
  isLiteral,
  literal,
  nowNs,
  RESPONSE_BODY,
  RESPONSE_HEADERS,
  readBody,
  readHeaders,
  resetArena,
  valueBytes,
  valuePtr,
} from "../sdk";
import { beginAnswer, isWhole, readAnswer } from "./answer";
import { endStream } from "./end";
import { EVENTS, findStream, JSON, Stream, sseOf, UNKNOWN, UNREAD } from "./stream";

const statusName = literal(":status");
const contentType = literal("content-type");
const contentEncoding = literal("content-encoding");

const NS_PER_MS: f64 = 1_000_000;
/** A piece larger than this is none of a stream of tokens; reading ends there. */
const MOST_PIECE: u32 = 4 << 20;

export function sinceMs(fromNs: u64, toNs: u64): f64 {
  return toNs > fromNs ? <f64>(toNs - fromNs) / NS_PER_MS : 0;
}

/** The pod's answer begins. */
export function onResponse(context: u32, last: bool): i32 {
  resetArena();
  const at = findStream(context);
  if (at == 0 || !readHeaders(RESPONSE_HEADERS)) return CONTINUE;
  const stream = changetype<Stream>(at);
  stream.statusClass = statusClass();
  count(stream.cell, RESPONSES + <i32>stream.statusClass);
  observe(stream.cell, FIRST_BYTE_MS, sinceMs(stream.startNs, nowNs()));
  if (last) endStream(stream, true);
  else {
    stream.reading = readingOf();
    if (stream.reading != UNREAD && isEncoded()) {
      stream.reading = UNREAD;
      stream.unreadable = true;
    }
    beginAnswer(stream);
  }
  return CONTINUE;
}

/** 1 to 5 for 1xx to 5xx; 0 for what is no status. */
function statusClass(): u8 {
  const row = findHeader(statusName);
  if (row < 0 || valueBytes(row) != 3) return 0;
  const digit = load<u8>(valuePtr(row)) - 0x30;
  return digit >= 1 && digit <= 5 ? digit : 0;
}

function readingOf(): u8 {
  const row = findHeader(contentType);
  if (row < 0) return UNREAD;
  const ptr = valuePtr(row);
  let bytes: usize = 0;
  while (bytes < valueBytes(row) && load<u8>(ptr + bytes) != 0x3b) bytes++;
  while (bytes > 0 && load<u8>(ptr + bytes - 1) == 0x20) bytes--;
  if (isLiteral("text/event-stream", ptr, bytes)) return EVENTS;
  return isLiteral("application/json", ptr, bytes) ? JSON : UNREAD;
}

function isEncoded(): bool {
  const row = findHeader(contentEncoding);
  return row >= 0 && !isLiteral("identity", valuePtr(row), valueBytes(row));
}

/** A piece of the answer passes by; it is read and goes on at once. */
export function onResponseBody(context: u32, bytes: u32, last: bool): i32 {
  resetArena();
  const at = findStream(context);
  if (at == 0) return CONTINUE;
  const stream = changetype<Stream>(at);
  if (stream.reading != UNREAD && bytes > 0) {
    if (bytes <= MOST_PIECE && readBody(RESPONSE_BODY, bytes)) {
      if (stream.reading == JSON) readAnswer(stream, bodyPtr, bodyPtr + bodyBytes);
      else readEvents(stream, bodyPtr, bodyPtr + bodyBytes, nowNs());
    } else {
      stream.reading = UNREAD;
      stream.unreadable = true;
    }
  }
  if (last) endAnswer(stream);
  return CONTINUE;
}

/** The answer came to its end; what was read last needs no empty line behind it. */
export function endAnswer(stream: Stream): void {
  if (stream.ended) return;
  if (stream.reading != UNREAD) {
    if (stream.doneMatched == 6) stream.isDone = true;
    if (isWhole(stream)) endEvent(stream, nowNs());
    else if (stream.reading == JSON) stream.unreadable = true;
  }
  endStream(stream, true);
}

function readEvents(stream: Stream, from: usize, end: usize, nowNs: u64): void {
  const sse = sseOf(stream);
  let at = from;
  while (true) {
    at = nextPiece(sse, at, end);
    if (piece == NO_PIECE) return;
    if (piece == DATA) {
      matchDone(stream, pieceFrom, pieceTo);
      readAnswer(stream, pieceFrom, pieceTo);
    } else if (piece == DATA_END) {
      if (stream.doneMatched == 6) stream.isDone = true;
      stream.doneMatched = 0;
    } else if (piece == EVENT_END) {
      if (isWhole(stream)) endEvent(stream, nowNs);
      beginAnswer(stream);
    }
  }
}

const done: usize = memory.data<u8>([0x5b, 0x44, 0x4f, 0x4e, 0x45, 0x5d]);

/** "[DONE]" as the whole of a data line. */
function matchDone(stream: Stream, from: usize, to: usize): void {
  for (let at = from; at < to && stream.doneMatched != 255; at++)
    if (stream.doneMatched < 6 && load<u8>(at) == load<u8>(done + stream.doneMatched))
      stream.doneMatched++;
    else stream.doneMatched = 255;
}

/** What an event or a whole answer said counts; of usage the last word. */
export function endEvent(stream: Stream, nowNs: u64): void {
  if (stream.finish != 0) count(stream.cell, stream.finish);
  if (stream.hasUsage) {
    if (stream.eventPrompt != UNKNOWN) stream.promptTokens = stream.eventPrompt;
    if (stream.eventCompletion != UNKNOWN) stream.completionTokens = stream.eventCompletion;
  }
  if (!stream.hasContent || stream.reading != EVENTS) return;
  stream.tokenEvents++;
  if (stream.firstTokenNs == 0) {
    stream.firstTokenNs = nowNs;
    observe(stream.cell, FIRST_TOKEN_MS, sinceMs(stream.startNs, nowNs));
  } else observe(stream.cell, TOKEN_GAP_MS, sinceMs(stream.lastTokenNs, nowNs));
  stream.lastTokenNs = nowNs;
}
