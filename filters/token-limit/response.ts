import { writeGoDuration } from "../format/duration";
import { FIRST_BYTE_MS, observe, RESPONSES } from "../measure";
import {
  beginText,
  bodyBytes,
  bodyPtr,
  CONTINUE,
  findHeader,
  hasHeader,
  isLiteral,
  literal,
  nowNs,
  RESPONSE_BODY,
  RESPONSE_HEADERS,
  readBody,
  readHeaders,
  removeHeader,
  resetArena,
  setHeader,
  Text,
  valueBytes,
  valuePtr,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { beginAnswer, isWhole, readAnswer } from "./answer";
import { beginEdit, dropTo, endEdit } from "./edit";
import { endStream } from "./end";
import { endData, endEvent, readEvents, sinceMs } from "./events";
import { resetMs } from "./refusal";
import { countOfTenant, EVENTS, findStream, JSON, Stream, UNREAD } from "./stream";
import { passHeld } from "./trim";

const statusName = literal(":status");
const contentType = literal("content-type");
const contentEncoding = literal("content-encoding");
const contentLength = literal("content-length");
const limitTokens = literal("x-ratelimit-limit-tokens");
const remainingTokens = literal("x-ratelimit-remaining-tokens");
const resetTokens = literal("x-ratelimit-reset-tokens");
const limitRequests = literal("x-ratelimit-limit-requests");
const remainingRequests = literal("x-ratelimit-remaining-requests");
const resetRequests = literal("x-ratelimit-reset-requests");

/** Nothing of this piece goes on, and nothing waits for it. */
const STOP_NO_BUFFER: i32 = 3;
/** A piece larger than this is none of a stream of tokens; reading ends there. */
const MOST_PIECE: u32 = 4 << 20;

/** The pod's answer begins. */
export function onResponse(context: u32, last: bool): i32 {
  resetArena();
  const at = findStream(context);
  if (at == 0 || !readHeaders(RESPONSE_HEADERS)) return CONTINUE;
  const stream = changetype<Stream>(at);
  stream.statusClass = statusClass();
  countOfTenant(stream, RESPONSES + <i32>stream.statusClass);
  observe(stream.cell, FIRST_BYTE_MS, sinceMs(stream.startNs, nowNs()));
  if (!last) beginBody(stream);
  if (stream.limited) tellTokens(stream);
  if (stream.burst != 0) tellRequests(stream);
  if (last) endStream(stream, true);
  return CONTINUE;
}

function beginBody(stream: Stream): void {
  stream.reading = readingOf();
  stream.isStream = stream.reading == EVENTS;
  if (stream.reading != UNREAD && isEncoded()) {
    stream.reading = UNREAD;
    stream.unreadable = true;
  }
  // An event stream that is edited is not as long as the pod says.
  if (stream.isStream && (stream.trims || stream.finishOverrun) && hasHeader(contentLength))
    removeHeader(RESPONSE_HEADERS, contentLength);
  beginAnswer(stream);
}

/** 1 to 5 for 1xx to 5xx; 0 for what is no status. */
function statusClass(): u8 {
  const row = findHeader(statusName);
  if (row == 0 || valueBytes(row) != 3) return 0;
  const digit = load<u8>(valuePtr(row)) - 0x30;
  return digit >= 1 && digit <= 5 ? digit : 0;
}

function readingOf(): u8 {
  const row = findHeader(contentType);
  if (row == 0) return UNREAD;
  const ptr = valuePtr(row);
  let bytes: usize = 0;
  while (bytes < valueBytes(row) && load<u8>(ptr + bytes) != 0x3b) bytes++;
  while (bytes > 0 && load<u8>(ptr + bytes - 1) == 0x20) bytes--;
  if (isLiteral("text/event-stream", ptr, bytes)) return EVENTS;
  return isLiteral("application/json", ptr, bytes) ? JSON : UNREAD;
}

function isEncoded(): bool {
  const row = findHeader(contentEncoding);
  return row != 0 && !isLiteral("identity", valuePtr(row), valueBytes(row));
}

/** OpenAI's three headers about tokens; the reset is when the bucket is full. */
function tellTokens(stream: Stream): void {
  tell(limitTokens, stream.perMinute);
  tell(remainingTokens, stream.left);
  tellReset(resetTokens, resetMs(stream.left, stream.perMinute));
}

/** The three about requests, as they stood when this one had been admitted. */
function tellRequests(stream: Stream): void {
  tell(limitRequests, stream.burst);
  tell(remainingRequests, stream.requestsLeft);
  tellReset(resetRequests, stream.requestsResetMs);
}

function tellReset(name: Text, ms: u64): void {
  beginText();
  writeGoDuration(ms);
  setHeader(RESPONSE_HEADERS, name, written(), writtenBytes());
}

function tell(name: Text, value: u64): void {
  beginText();
  writeUint(value);
  setHeader(RESPONSE_HEADERS, name, written(), writtenBytes());
}

/** A piece of the answer passes by; it is read and goes on at once. */
export function onResponseBody(context: u32, bytes: u32, last: bool): i32 {
  resetArena();
  const at = findStream(context);
  if (at == 0) return CONTINUE;
  const stream = changetype<Stream>(at);
  let goesOn: usize = bytes;
  if (stream.reading != UNREAD && (bytes > 0 || stream.heldBytes > 0)) {
    if (bytes <= MOST_PIECE && readBody(RESPONSE_BODY, bytes)) goesOn = readPiece(stream, last);
    else {
      stream.reading = UNREAD;
      stream.unreadable = true;
    }
  }
  if (last) endAnswer(stream);
  return !last && bytes > 0 && goesOn == 0 ? STOP_NO_BUFFER : CONTINUE;
}

function readPiece(stream: Stream, last: bool): usize {
  if (stream.reading == JSON) {
    readAnswer(stream, bodyPtr, bodyPtr + bodyBytes);
    return bodyBytes;
  }
  beginEdit(bodyPtr, bodyBytes, stream.heldBytes + 2 * stream.headBytes);
  if (stream.isFinished) dropTo(bodyPtr + bodyBytes);
  else readEvents(stream, bodyPtr, bodyPtr + bodyBytes, nowNs());
  if (last) passHeld(stream, bodyPtr + bodyBytes);
  return endEdit(RESPONSE_BODY, bodyBytes);
}

/** The answer came to its end; what was read last needs no empty line behind it. */
function endAnswer(stream: Stream): void {
  if (stream.ended) return;
  if (stream.reading != UNREAD && !stream.isFinished) {
    endData(stream);
    if (isWhole(stream)) endEvent(stream, nowNs());
    else if (stream.reading == JSON) stream.unreadable = true;
  }
  endStream(stream, true);
}
