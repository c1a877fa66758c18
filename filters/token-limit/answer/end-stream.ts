import { FLAT, UNKNOWN_CALL } from "../../apis";
import {
  ANSWERS_FAILED,
  CACHED_TOKENS,
  COMPLETION_TOKENS,
  count,
  OUTPUT_TOKENS,
  observe,
  PROMPT_TOKENS,
  REASONING_TOKENS,
  RESPONSES,
  STREAM_ABORTED,
  STREAM_CUT,
  STREAM_DONE,
  STREAM_MS,
  TOKENS_PER_SECOND,
  USAGE_ESTIMATED,
  USAGE_REPORTED,
  USAGE_UNREADABLE,
  WRITTEN_TOKENS,
} from "../../measure";
import { nowNs } from "../../sdk";
import { BYTES_PER_TOKEN, settle } from "../budget/reservation";
import { FLAT_TOKENS } from "../prompt/insertions";
import { answersOf } from "../prompt/maximum";
import {
  CACHED,
  COMPLETION,
  countOfTenant,
  PROMPT,
  READ_BESIDE,
  REASONING,
  SECONDS,
  Stream,
  TOTAL,
  UNKNOWN,
  usageOf,
  WRITTEN_BESIDE,
} from "../stream";

/** Sound costs as much where its server tells how long it is. */
const TOKENS_PER_SECOND_OF_SOUND: i64 = 10;

/**
 * A stream is over: what it was is counted, once. `byPod` says that the pod ended
 * its answer, well or not; otherwise the client left.
 */
export function endStream(stream: Stream, byPod: bool): void {
  if (stream.ended) return;
  stream.ended = true;
  const now = nowNs();
  if (stream.statusClass == 0) countOfTenant(stream, RESPONSES);
  if (stream.isStream) {
    countOfTenant(
      stream,
      stream.isDone || stream.failed ? STREAM_DONE : byPod ? STREAM_CUT : STREAM_ABORTED,
    );
    observe(stream.cell, STREAM_MS, ms(stream.startNs, now));
  }
  settle(stream, used(stream));
  // Of any other status its class says it.
  if (stream.statusClass != 2) return;
  if (stream.failed) countOfTenant(stream, ANSWERS_FAILED);
  const completion = completionOf(stream);
  const reported = isReported(stream);
  if (!reported && !stream.isCompletion) return;
  count(
    stream.cell,
    reported ? USAGE_REPORTED : stream.unreadable ? USAGE_UNREADABLE : USAGE_ESTIMATED,
  );
  count(stream.cell, PROMPT_TOKENS, promptOf(stream));
  count(stream.cell, COMPLETION_TOKENS, completion);
  countDetail(stream, CACHED_TOKENS, cachedOf(stream));
  countDetail(stream, WRITTEN_TOKENS, max<i64>(usageOf(stream, WRITTEN_BESIDE), 0));
  countDetail(stream, REASONING_TOKENS, max<i64>(usageOf(stream, REASONING), 0));
  if (!stream.isCompletion) return;
  observe(stream.cell, OUTPUT_TOKENS, <f64>completion);
  const seconds = ms(stream.firstTokenNs, stream.lastTokenNs) / 1000;
  // The first token's time is not of its making.
  if (completion > 1 && seconds > 0)
    observe(stream.cell, TOKENS_PER_SECOND, <f64>(completion - 1) / seconds);
}

function countDetail(stream: Stream, counter: i32, tokens: i64): void {
  if (tokens > 0) count(stream.cell, counter, <u32>tokens);
}

/** Whether the pod told any usage. */
function isReported(stream: Stream): bool {
  return (
    usageOf(stream, PROMPT) != UNKNOWN ||
    usageOf(stream, COMPLETION) != UNKNOWN ||
    usageOf(stream, TOTAL) != UNKNOWN ||
    usageOf(stream, SECONDS) != UNKNOWN
  );
}

/** Tokens to pay: all of a success, the prompt where the client left before the answer, nothing of a failure. */
function used(stream: Stream): u64 {
  if (stream.statusClass == 0) return promptOf(stream);
  const tokens = <u64>promptOf(stream) + completionOf(stream);
  if (isReported(stream)) return weighed(stream, tokens);
  // 101: a connection of its own.
  if (stream.statusClass > 2) return 0;
  // What cannot be read, or is told elsewhere, costs all that it may have cost.
  const hidden = (stream.unreadable && stream.api.price < FLAT) || stream.isLater;
  return hidden ? max<u64>(tokens, stream.reserved) : tokens;
}

/** Tokens from a cache and tokens written to one have prices of their own. */
function weighed(stream: Stream, tokens: u64): u64 {
  const cached = <u64>cachedOf(stream);
  const written = <u64>max<i64>(usageOf(stream, WRITTEN_BESIDE), 0);
  return (
    tokens -
    cached -
    written +
    (cached * stream.cachedPercent + written * stream.writtenPercent + 99) / 100
  );
}

/** Tokens of the prompt that came from a cache: some APIs count them in it, others beside it. */
function cachedOf(stream: Stream): i64 {
  const beside = max<i64>(usageOf(stream, READ_BESIDE), 0);
  return beside + min<i64>(max<i64>(usageOf(stream, CACHED), 0), <i64>promptOf(stream) - beside);
}

function ms(fromNs: u64, toNs: u64): f64 {
  return toNs > fromNs ? <f64>(toNs - fromNs) / 1_000_000 : 0;
}

/** Tokens of the prompt: as the pod told, else as estimated. */
export function promptOf(stream: Stream): u32 {
  const beside =
    max<i64>(usageOf(stream, READ_BESIDE), 0) + max<i64>(usageOf(stream, WRITTEN_BESIDE), 0);
  let prompt = usageOf(stream, PROMPT);
  if (prompt == UNKNOWN && usageOf(stream, TOTAL) != UNKNOWN)
    prompt = max<i64>(usageOf(stream, TOTAL) - max<i64>(usageOf(stream, COMPLETION), 0), 0);
  if (prompt == UNKNOWN && usageOf(stream, SECONDS) != UNKNOWN)
    prompt = usageOf(stream, SECONDS) * TOKENS_PER_SECOND_OF_SOUND;
  const estimate = <i64>stream.promptEstimate;
  if (stream.tellsOfOne && stream.prompts > 1) prompt = max(prompt, estimate);
  return <u32>((prompt == UNKNOWN ? estimate : prompt) + beside);
}

/** Tokens written so far: as the pod told, else by what was seen of them. */
export function completionOf(stream: Stream): u32 {
  const completion = usageOf(stream, COMPLETION);
  if (completion != UNKNOWN) return <u32>max<i64>(completion, minOf(stream, completion));
  const price = stream.api.price;
  if (price == FLAT) return isReported(stream) ? 0 : <u32>min(FLAT_TOKENS * answersOf(stream), 1e9);
  const seen = tokensIn(stream.contentBytes);
  if (price == UNKNOWN_CALL && stream.limited)
    return min(max(seen, tokensIn(stream.answerBytes)), stream.reserved - stream.reservedPrompt);
  return max(stream.tokenEvents, seen);
}

/** What several answers took at the least, of which a server may have told one's tokens. */
function minOf(stream: Stream, toldOfOne: i64): i64 {
  const answers = answersOf(stream);
  if (answers <= 1) return 0;
  // An event is a token at least.
  if (stream.isStream) return stream.tokenEvents;
  if (!stream.tellsOfOne) return 0;
  return max<i64>(<i64>min(<f64>toldOfOne * answers, 1e9), tokensIn(stream.contentBytes));
}

function tokensIn(bytes: u32): u32 {
  return (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}
