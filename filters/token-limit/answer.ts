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
  STRING,
  token,
  wholeNumber,
} from "../format/json-scan";
import {
  FINISH_CONTENT_FILTER,
  FINISH_FUNCTION_CALL,
  FINISH_LENGTH,
  FINISH_OTHER,
  FINISH_STOP,
  FINISH_TOOL_CALLS,
} from "../measure";
import { Ascii, isLiteral } from "../sdk";
import { jsonOf, Stream, UNKNOWN } from "./stream";

// What an answer, or one event of it, says about tokens. The path to a value
// decides what it means, so nothing that a model writes can pass for usage.
// Read are OpenAI's chat completions, completions, embeddings and responses,
// and Anthropic's messages.

// Kinds of levels.
const OTHER: u64 = 0;
const ROOT: u64 = 1;
const CHOICES: u64 = 2;
const CHOICE: u64 = 3;
/** A message or the next part of one. */
const DELTA: u64 = 4;
const USAGE: u64 = 5;
/** The answer as a member of an event: "response", "message". */
const WRAPPED: u64 = 6;

// Keys that mean something where they stand.
const NOTHING: u8 = 0;
const TO_CHOICES: u8 = 1;
const TO_USAGE: u8 = 2;
const TO_DELTA: u8 = 3;
const TO_WRAPPED: u8 = 4;
const FINISH_REASON: u8 = 5;
const CONTENT: u8 = 6;
const PROMPT: u8 = 7;
const COMPLETION: u8 = 8;
const TYPE: u8 = 9;
const TEXT: u8 = 10;

/** Levels that are told apart; deeper ones are OTHER. */
const MOST_LEVELS: i32 = 16;
/** More tokens than any answer has: what is beyond is no usage. */
const MOST_TOKENS: i64 = 100_000_000;

/** Forgets what the event before said. */
export function beginAnswer(stream: Stream): void {
  resetScan(jsonOf(stream));
  stream.where = 0;
  stream.key = NOTHING;
  stream.hasContent = false;
  stream.hasChoices = false;
  stream.hasUsage = false;
  stream.hasData = false;
  stream.passes = false;
  stream.finish = 0;
  stream.eventPrompt = UNKNOWN;
  stream.eventCompletion = UNKNOWN;
}

/** Where the key of the choices ended in the piece read last; 0 when it was not in it. */
export let choicesEnd: usize = 0;

/** Reads a piece of an answer or of an event's data. */
export function readAnswer(stream: Stream, from: usize, end: usize): void {
  const scan = jsonOf(stream);
  let at = from;
  choicesEnd = 0;
  while (true) {
    at = nextToken(scan, at, end);
    if (token == NO_TOKEN) return;
    if (token == KEY) {
      stream.key = keyOf(levelOf(stream, scan.depth), scan);
      if (stream.key == TO_CHOICES) choicesEnd = at;
      else if (stream.key == TEXT) stream.isText = true;
    } else {
      if (token == OPEN_OBJECT || token == OPEN_ARRAY) enter(stream, scan.depth);
      else if (token != CLOSE) readValue(stream, scan);
      stream.key = NOTHING;
    }
  }
}

/** Whether the whole of an object was read. */
export function isWhole(stream: Stream): bool {
  return jsonOf(stream).depth == 0 && levelOf(stream, 1) == ROOT;
}

function levelOf(stream: Stream, depth: i32): u64 {
  return depth < 1 || depth > MOST_LEVELS
    ? OTHER
    : (stream.where >> ((<u64>(depth - 1)) << 2)) & 15;
}

/** A level opened, which is now number `depth`. */
function enter(stream: Stream, depth: i32): void {
  const parent = levelOf(stream, depth - 1);
  let kind = OTHER;
  if (depth == 1) kind = token == OPEN_OBJECT ? ROOT : OTHER;
  else if (parent == CHOICES) {
    stream.hasChoices = true;
    kind = CHOICE;
  } else if (stream.key == TO_CHOICES) kind = CHOICES;
  else if (stream.key == TO_USAGE) {
    kind = USAGE;
    stream.hasUsage = true;
  } else if (stream.key == TO_DELTA) kind = DELTA;
  else if (stream.key == TO_WRAPPED) kind = WRAPPED;
  else if (parent == DELTA) {
    // Calls of tools and parts of content: that they are there is what counts.
    kind = DELTA;
    stream.hasContent = true;
  }
  if (depth > MOST_LEVELS) return;
  const shift = (<u64>(depth - 1)) << 2;
  stream.where = (stream.where & ~(15 << shift)) | (kind << shift);
}

function is(scan: JsonScan, name: Ascii): bool {
  return isLiteral(name, keptText(scan), scan.kept);
}

function keyOf(level: u64, scan: JsonScan): u8 {
  if (level == OTHER) return NOTHING;
  if (level == DELTA) return is(scan, "role") || is(scan, "type") ? NOTHING : CONTENT;
  if (level == CHOICE) {
    if (is(scan, "delta") || is(scan, "message")) return TO_DELTA;
    if (is(scan, "finish_reason")) return FINISH_REASON;
    return is(scan, "text") ? TEXT : NOTHING;
  }
  if (level == USAGE) {
    if (is(scan, "prompt_tokens") || is(scan, "input_tokens")) return PROMPT;
    return is(scan, "completion_tokens") || is(scan, "output_tokens") ? COMPLETION : NOTHING;
  }
  if (is(scan, "usage")) return TO_USAGE;
  if (level == WRAPPED) return NOTHING;
  if (is(scan, "choices")) return TO_CHOICES;
  if (is(scan, "response") || is(scan, "message")) return TO_WRAPPED;
  if (is(scan, "delta")) return TO_DELTA;
  return is(scan, "type") ? TYPE : NOTHING;
}

function readValue(stream: Stream, scan: JsonScan): void {
  const level = levelOf(stream, scan.depth);
  if (level == CHOICES) stream.hasChoices = true;
  if (token == NUMBER) {
    if (stream.key == PROMPT) stream.eventPrompt = wholeNumber(scan, MOST_TOKENS);
    else if (stream.key == COMPLETION) stream.eventCompletion = wholeNumber(scan, MOST_TOKENS);
    return;
  }
  if (token != STRING || scan.bytes == 0) return;
  if (stream.key == CONTENT || stream.key == TEXT || (stream.key == TO_DELTA && level == ROOT)) {
    stream.hasContent = true;
    stream.contentBytes += scan.bytes;
  } else if (stream.key == FINISH_REASON) stream.finish = finishOf(scan);
  else if (stream.key == TYPE)
    stream.isDone = stream.isDone || is(scan, "response.completed") || is(scan, "message_stop");
}

function finishOf(scan: JsonScan): u8 {
  if (is(scan, "stop")) return <u8>FINISH_STOP;
  if (is(scan, "length")) return <u8>FINISH_LENGTH;
  if (is(scan, "tool_calls")) return <u8>FINISH_TOOL_CALLS;
  if (is(scan, "content_filter")) return <u8>FINISH_CONTENT_FILTER;
  return <u8>(is(scan, "function_call") ? FINISH_FUNCTION_CALL : FINISH_OTHER);
}
