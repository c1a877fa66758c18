import { FREE, isEncoded } from "../../apis";
import { COLON, OPEN_BRACE, SEMICOLON, SPACE } from "../../format/ascii-codes";
import { writeGoDuration } from "../../format/duration";
import { FIRST_BYTE_MS, observe, RESPONSE_501, RESPONSES } from "../../measure";
import {
  beginText,
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
  Span,
  setHeader,
  Text,
  valueBytes,
  valuePtr,
  writeUint,
  written,
  writtenBytes,
} from "../../sdk";
import { beginEdit, dropTo, endEdit } from "../body-edit";
import {
  limitRequests,
  limitTokens,
  remainingRequests,
  remainingTokens,
  resetRequests,
  resetTokens,
} from "../header-names";
import { resetMs } from "../refusal";
import { EVENTS, findStream, JSON, LINES, Stream, UNREAD, UNTOLD } from "../stream";
import { beginAnswer, isWhole, readAnswer } from "./answer";
import { endStream } from "./end-stream";
import { endData, endEvent, readEvents, readLines, sinceMs } from "./events";
import { countStatus } from "./fallback";
import { passHeld } from "./hold-usage-event";

const statusName = literal(":status");
const contentType = literal("content-type");
const contentLength = literal("content-length");

/** Nothing of this piece goes on, and nothing waits for it. */
const STOP_NO_BUFFER: i32 = 3;
/** A piece larger than this is none of a stream of tokens; reading ends there. */
const MAX_PIECE: u32 = 4 << 20;

/** The pod's answer begins. */
export function onResponse(context: u32, last: bool): i32 {
  resetArena();
  const stream = findStream(context);
  if (stream === null || !readHeaders(RESPONSE_HEADERS)) return CONTINUE;
  countStatus(stream, readStatus(stream));
  observe(stream.cell, FIRST_BYTE_MS, sinceMs(stream.startNs, nowNs()));
  if (!last) beginBody(stream);
  if (stream.limited) tellTokens(stream);
  if (stream.burst != 0) tellRequests(stream);
  if (last) endStream(stream, true);
  return CONTINUE;
}

function beginBody(stream: Stream): void {
  const reading = readingOf(stream);
  stream.isStream = reading == EVENTS || reading == LINES;
  // What writes tokens where they cannot be seen, and what is compressed although nobody asked.
  stream.unreadable = reading == UNREAD ? stream.isCompletion : isEncoded();
  stream.reading = stream.unreadable ? UNREAD : reading;
  // An event stream that is edited is not as long as the pod says.
  if (
    (stream.isStream || reading == UNTOLD) &&
    (stream.trims || stream.finishOverrun) &&
    hasHeader(contentLength)
  )
    removeHeader(RESPONSE_HEADERS, contentLength);
  beginAnswer(stream);
}

/** Notes the class of the status, 1 to 5 for 1xx to 5xx and 0 for what is none; returns what counts it. */
function readStatus(stream: Stream): i32 {
  const row = findHeader(statusName);
  if (row == 0 || valueBytes(row) != 3) return RESPONSES;
  const digit = load<u8>(valuePtr(row)) - 0x30;
  if (digit >= 1 && digit <= 5) stream.statusClass = digit;
  return isLiteral("501", valuePtr(row), 3) ? RESPONSE_501 : RESPONSES + <i32>stream.statusClass;
}

function readingOf(stream: Stream): u8 {
  const row = findHeader(contentType);
  if (row == 0) return stream.isCall && stream.api.price != FREE ? UNTOLD : UNREAD;
  const ptr = valuePtr(row);
  let bytes: usize = 0;
  while (bytes < valueBytes(row) && load<u8>(ptr + bytes) != SEMICOLON) bytes++;
  while (bytes > 0 && load<u8>(ptr + bytes - 1) == SPACE) bytes--;
  if (isLiteral("text/event-stream", ptr, bytes)) return EVENTS;
  if (isLiteral("application/x-ndjson", ptr, bytes) || isLiteral("application/jsonl", ptr, bytes))
    return LINES;
  return isLiteral("application/json", ptr, bytes) ? JSON : UNREAD;
}

/** How an answer is read that does not say what it is: by its first letter. */
function readingBy(stream: Stream, first: u8): u8 {
  if (first == OPEN_BRACE) return stream.api.isLines ? LINES : JSON;
  // data, event, id, retry, or a comment.
  const isField =
    first == 0x64 || first == 0x65 || first == 0x69 || first == 0x72 || first == COLON;
  return isField ? EVENTS : UNREAD;
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
  const stream = findStream(context);
  if (stream === null) return CONTINUE;
  let goesOn: usize = bytes;
  stream.answerBytes += bytes;
  if (stream.reading != UNREAD && (bytes > 0 || stream.heldBytes > 0)) {
    const piece: Span | null = bytes > MAX_PIECE ? null : readBody(RESPONSE_BODY, bytes);
    if (piece !== null) goesOn = readPiece(stream, piece.ptr, piece.bytes, last);
    else {
      stream.reading = UNREAD;
      stream.unreadable = true;
    }
  }
  if (last) endAnswer(stream);
  return !last && bytes > 0 && goesOn == 0 ? STOP_NO_BUFFER : CONTINUE;
}

function readPiece(stream: Stream, from: usize, bytes: usize, last: bool): usize {
  const end = from + bytes;
  if (stream.reading == UNTOLD) {
    if (bytes == 0) return 0;
    const first = load<u8>(from);
    // Spaces and line ends say nothing yet.
    if (first <= SPACE) return bytes;
    stream.reading = readingBy(stream, first);
    stream.isStream = stream.reading == EVENTS || stream.reading == LINES;
    stream.unreadable = stream.reading == UNREAD && stream.isCompletion;
    if (stream.reading == UNREAD) return bytes;
  }
  if (stream.reading == JSON) {
    readAnswer(stream, from, end);
    return bytes;
  }
  beginEdit(from, bytes, stream.heldBytes + 2 * stream.headBytes);
  if (stream.isFinished) dropTo(end);
  else if (stream.reading == LINES) readLines(stream, from, end, nowNs());
  else readEvents(stream, from, end, nowNs());
  if (last) passHeld(stream, end);
  return endEdit(RESPONSE_BODY, bytes);
}

/** The answer came to its end; what was read last needs no empty line behind it. */
function endAnswer(stream: Stream): void {
  if (stream.ended) return;
  if (stream.reading != UNREAD && !stream.isFinished) {
    endData(stream);
    if (isWhole(stream)) endEvent(stream, nowNs());
    else if (stream.reading == JSON || stream.reading == UNTOLD) stream.unreadable = true;
  }
  endStream(stream, true);
}
