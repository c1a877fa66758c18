import { LF } from "../../format/ascii-codes";
import { DATA, DATA_END, EVENT_END, isBetweenLines, NO_PIECE, nextPiece } from "../../format/sse";
import {
  count,
  FINISH_STOP,
  FIRST_TOKEN_MS,
  LIMIT_OVERRUN,
  observe,
  TOKEN_GAP_MS,
} from "../../measure";
import { dropTo } from "../body-edit";
import { reserveCompletion } from "../budget/reservation";
import {
  COMPLETION,
  countOfTenant,
  eventUsage,
  Stream,
  setUsage,
  sseOf,
  UNKNOWN,
  USAGES,
  usageOf,
} from "../stream";
import { beginAnswer, isWhole, readAnswer } from "./answer";
import { finish, keepHead } from "./finish-early";
import { hold, passHeld, takeOut } from "./hold-usage-event";

/** Tokens that a stream beyond its reservation takes at once. */
const MORE_TOKENS: u32 = 64;

export function sinceMs(fromNs: u64, toNs: u64): f64 {
  return toNs > fromNs ? <f64>(toNs - fromNs) / 1_000_000 : 0;
}

/** Reads a piece of an event stream, and edits it where an edit was begun. */
export function readEvents(stream: Stream, from: usize, end: usize, nowNs: u64): void {
  const sse = sseOf(stream);
  let eventFrom = from;
  let at = from;
  while (true) {
    at = nextPiece(sse, at, end);
    if (sse.piece == NO_PIECE) break;
    if (sse.piece == DATA) {
      matchDone(stream, sse.dataFrom, at);
      readData(stream, sse.dataFrom, at);
      // A choice in it: not the event that only tells usage.
      if (stream.trims && !stream.passes && stream.hasChoices) passHeld(stream, eventFrom);
    } else if (sse.piece == DATA_END) endData(stream);
    else if (sse.piece == EVENT_END) {
      if (endOfEvent(stream, eventFrom, at, nowNs)) {
        finish(stream, at);
        dropTo(end);
        return;
      }
      eventFrom = at;
    }
  }
  if (stream.trims && !stream.passes && (stream.hasData || !isBetweenLines(sse)))
    hold(stream, eventFrom, end);
}

/** Reads a piece of a stream in which each line is an event. */
export function readLines(stream: Stream, from: usize, end: usize, nowNs: u64): void {
  let lineFrom = from;
  for (let at = from; at < end; ) {
    while (at < end && load<u8>(at) != LF) at++;
    readData(stream, lineFrom, at);
    if (at == end) return;
    lineFrom = ++at;
    if (endOfEvent(stream, at, at, nowNs)) {
      finish(stream, at);
      dropTo(end);
      return;
    }
  }
}

function readData(stream: Stream, from: usize, to: usize): void {
  stream.hasData = true;
  readAnswer(stream, from, to);
  if (stream.finishOverrun && !stream.headDone) keepHead(stream, from, to);
}

/** An event ended; true when the stream shall end with it. */
function endOfEvent(stream: Stream, from: usize, end: usize, nowNs: u64): bool {
  const whole = isWhole(stream);
  if (whole) endEvent(stream, nowNs);
  if (stream.trims && !stream.passes) {
    if (whole && stream.hasUsage && !stream.hasChoices) takeOut(stream, from, end);
    else passHeld(stream, from);
  }
  const over = whole && stream.hasContent && isOver(stream);
  beginAnswer(stream);
  return over;
}

const done: usize = memory.data<u8>([0x5b, 0x44, 0x4f, 0x4e, 0x45, 0x5d]);

/** "[DONE]" as the whole of a data line. */
function matchDone(stream: Stream, from: usize, to: usize): void {
  for (let at = from; at < to && stream.doneMatched != 255; at++)
    if (stream.doneMatched < 6 && load<u8>(at) == load<u8>(done + stream.doneMatched))
      stream.doneMatched++;
    else stream.doneMatched = 255;
}

/** A line of data ended. */
export function endData(stream: Stream): void {
  if (stream.doneMatched == 6) stream.isDone = true;
  stream.doneMatched = 0;
}

/** What an event or a whole answer said counts; of usage the last word. */
export function endEvent(stream: Stream, nowNs: u64): void {
  for (let i = 0, rest = stream.finishes; rest != 0; i++, rest >>= 8)
    if ((rest & 255) != 0) countOfTenant(stream, FINISH_STOP + i, <u32>(rest & 255));
  if (stream.hasUsage) takeUsage(stream);
  if (stream.isLast) stream.isDone = true;
  if (stream.hasFailed) stream.failed = true;
  if (!stream.hasContent || !stream.isStream) return;
  stream.tokenEvents++;
  if (stream.firstTokenNs == 0) {
    stream.firstTokenNs = nowNs;
    const waitedMs = sinceMs(stream.startNs, nowNs);
    observe(stream.cell, FIRST_TOKEN_MS, waitedMs);
    const own = stream.tenantCell;
    if (own !== null) observe(own, FIRST_TOKEN_MS, waitedMs);
  } else observe(stream.cell, TOKEN_GAP_MS, sinceMs(stream.lastTokenNs, nowNs));
  stream.lastTokenNs = nowNs;
}

/** The last word counts, but where a server tells usage of each choice apart. */
function takeUsage(stream: Stream): void {
  const alone = stream.choices > 1 && stream.hasList && !stream.hasChoices;
  const before = alone && stream.toldAlone ? max<i64>(usageOf(stream, COMPLETION), 0) : 0;
  stream.toldAlone = alone;
  for (let i = 0; i < USAGES; i++) {
    const now = eventUsage(stream, i);
    if (now != UNKNOWN) setUsage(stream, i, now + (i == COMPLETION ? before : 0));
  }
}

/**
 * Whether a stream wrote more than its tenant can pay and shall end. Each event
 * is at least a token, so this never counts too many.
 */
function isOver(stream: Stream): bool {
  if (!stream.limited || stream.overran) return false;
  const have = stream.reserved - stream.reservedPrompt;
  if (stream.tokenEvents <= have) return false;
  if (reserveCompletion(stream, have + MORE_TOKENS) > have) return false;
  stream.overran = true;
  count(stream.cell, LIMIT_OVERRUN);
  return stream.finishOverrun;
}
