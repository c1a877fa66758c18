import {
  COMPLETION_TOKENS,
  count,
  OUTPUT_TOKENS,
  observe,
  PROMPT_TOKENS,
  RESPONSES,
  STREAM_ABORTED,
  STREAM_CUT,
  STREAM_DONE,
  STREAM_MS,
  TOKENS_PER_SECOND,
  USAGE_ESTIMATED,
  USAGE_REPORTED,
  USAGE_UNREADABLE,
} from "../measure";
import { nowNs } from "../sdk";
import { BYTES_PER_TOKEN, settle } from "./reservation";
import { countOfTenant, Stream, UNKNOWN } from "./stream";

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
    countOfTenant(stream, stream.isDone ? STREAM_DONE : byPod ? STREAM_CUT : STREAM_ABORTED);
    observe(stream.cell, STREAM_MS, ms(stream.startNs, now));
  }
  settle(stream, used(stream));
  if (stream.statusClass != 2) return;
  const completion = completionOf(stream);
  const reported = stream.promptTokens != UNKNOWN || stream.completionTokens != UNKNOWN;
  if (!reported && !stream.isCompletion) return;
  count(
    stream.cell,
    reported ? USAGE_REPORTED : stream.unreadable ? USAGE_UNREADABLE : USAGE_ESTIMATED,
  );
  count(stream.cell, PROMPT_TOKENS, promptOf(stream));
  count(stream.cell, COMPLETION_TOKENS, completion);
  if (!stream.isCompletion) return;
  observe(stream.cell, OUTPUT_TOKENS, <f64>completion);
  const seconds = ms(stream.firstTokenNs, stream.lastTokenNs) / 1000;
  // The first token's time is not of its making.
  if (completion > 1 && seconds > 0)
    observe(stream.cell, TOKENS_PER_SECOND, <f64>(completion - 1) / seconds);
}

/** Tokens to pay: all of a success, the prompt where the client left before the answer, nothing of a failure. */
function used(stream: Stream): u64 {
  if (stream.statusClass == 0) return promptOf(stream);
  const told = stream.promptTokens != UNKNOWN || stream.completionTokens != UNKNOWN;
  return stream.statusClass == 2 || told ? <u64>promptOf(stream) + completionOf(stream) : 0;
}

function ms(fromNs: u64, toNs: u64): f64 {
  return toNs > fromNs ? <f64>(toNs - fromNs) / 1_000_000 : 0;
}

/** Tokens of the prompt: as the pod told, else as estimated. */
export function promptOf(stream: Stream): u32 {
  return stream.promptTokens != UNKNOWN ? <u32>stream.promptTokens : stream.promptEstimate;
}

/** Tokens written so far: as the pod told, else by events and bytes seen. */
export function completionOf(stream: Stream): u32 {
  if (stream.completionTokens != UNKNOWN) return <u32>stream.completionTokens;
  return max(stream.tokenEvents, (stream.contentBytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN);
}
