import { SPACE } from "../format/ascii-codes";
import { Ascii, write, writeBytes } from "../sdk";

// What a cell counts, as control/report/names.ts knows it. The order is the
// order in shared data: append only, so that two versions of the module in one
// proxy do not read each other's numbers wrong.

/** Answers by class of status: 0 none, 1 to 5 for 1xx to 5xx. */
export const RESPONSES: i32 = 0;
/** Event streams by how they ended. */
export const STREAM_DONE: i32 = 6;
export const STREAM_CUT: i32 = 7;
export const STREAM_ABORTED: i32 = 8;
/** Choices by finish_reason. */
export const FINISH_STOP: i32 = 9;
export const FINISH_LENGTH: i32 = 10;
export const FINISH_TOOL_CALLS: i32 = 11;
export const FINISH_CONTENT_FILTER: i32 = 12;
export const FINISH_FUNCTION_CALL: i32 = 13;
export const FINISH_OTHER: i32 = 14;
/** Tokens, and where their number came from. */
export const PROMPT_TOKENS: i32 = 15;
export const COMPLETION_TOKENS: i32 = 16;
export const USAGE_REPORTED: i32 = 17;
export const USAGE_ESTIMATED: i32 = 18;
export const USAGE_UNREADABLE: i32 = 19;
/** What the token limit did. */
export const LIMIT_ADMITTED: i32 = 20;
export const LIMIT_REFUSED: i32 = 21;
export const LIMIT_CLAMPED: i32 = 22;
export const LIMIT_OVERRUN: i32 = 23;
export const LIMIT_FINISHED: i32 = 24;
/** Answers that told in the midst of a success that they failed. */
export const ANSWERS_FAILED: i32 = 25;
/** Tokens of the above that came from a cache, were written to one, or were thought only. */
export const CACHED_TOKENS: i32 = 26;
export const WRITTEN_TOKENS: i32 = 27;
export const REASONING_TOKENS: i32 = 28;
/** Answers of 501, which are in no class: the server has no such endpoint. */
export const RESPONSE_501: i32 = 29;
/** Requests that have waited for 4 seconds for their answer to begin, and for twice as long each. */
export const WAITED: i32 = 30;
export const WAITS: i32 = 6;
/** Successes that are in no class: the pods of another variant than the chosen one answered. */
export const RESPONSE_FALLBACK: i32 = 36;

export const FIRST_BYTE_MS: i32 = 0;
export const FIRST_TOKEN_MS: i32 = 1;
export const TOKEN_GAP_MS: i32 = 2;
export const STREAM_MS: i32 = 3;
export const OUTPUT_TOKENS: i32 = 4;
export const TOKENS_PER_SECOND: i32 = 5;

/** Writes the name of a counter; its label is labelled apart. */
export function writeCounterName(counter: i32): void {
  if (counter < STREAM_DONE || counter == RESPONSE_501 || counter == RESPONSE_FALLBACK)
    write("responses");
  else if (counter < FINISH_STOP) write("streams");
  else if (counter < PROMPT_TOKENS) write("finishes");
  else if (counter < USAGE_REPORTED) write("tokens");
  else if (counter < LIMIT_ADMITTED) write("usage");
  else if (counter < ANSWERS_FAILED) write("token_limit");
  else if (counter < CACHED_TOKENS) write("failed_answers");
  else write(counter < RESPONSE_501 ? "token_details" : "waited");
}

export function writeCounterLabel(counter: i32): void {
  writeWord(
    "none 1xx 2xx 3xx 4xx 5xx done cut aborted stop length tool_calls content_filter function_call other prompt completion reported estimated unreadable admitted refused clamped overrun finished error cached written reasoning 501 4s 8s 16s 32s 64s 128s fallback ",
    counter,
  );
}

export function writeHistogramName(histogram: i32): void {
  writeWord(
    "time_to_first_byte_ms time_to_first_token_ms token_gap_ms stream_duration_ms output_tokens tokens_per_second ",
    histogram,
  );
}

/** Writes one word of a list in which a space ends each. */
function writeWord(words: Ascii, number: i32): void {
  const end = words.ptr + <usize>words.length;
  let from = words.ptr;
  for (let at = from; at < end; at++) {
    if (load<u8>(at) != SPACE) continue;
    if (number-- == 0) {
      writeBytes(from, at - from);
      return;
    }
    from = at + 1;
  }
}
