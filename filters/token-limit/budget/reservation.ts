import { FLAT } from "../../apis";
import { isBroken, isInText } from "../../format/json-scan";
import { count, LIMIT_ADMITTED, LIMIT_REFUSED } from "../../measure";
import { promptJsonOf, Stream } from "../stream";
import { Tier } from "../tier";
import { adjust, lookAhead, take } from "./budget";
import { bytesOf } from "./text";

/** English text has about so many bytes per token. */
export const BYTES_PER_TOKEN: u32 = 4;
/** A request is admitted when it can at least be answered with so many tokens. */
const MIN_TOKENS: u32 = 16;
/** A longer body is rather an image than a prompt; what it really is shows when it has been read. */
const MAX_GUESSED: u32 = 16_384;

/** Reserves what a request of that many bytes may need, as far as it is there; false when its tenant can pay for nothing. */
export function admit(stream: Stream, bucket: u64, tier: Tier, bodyBytes: u64): bool {
  stream.bucket = bucket;
  stream.perMinute = tier.tokensPerMinute;
  const guess = tokensOf(bodyBytes);
  const taken = take(stream, MIN_TOKENS, guess + MIN_TOKENS);
  if (taken == 0) {
    count(stream.cell, LIMIT_REFUSED);
    lookAhead(stream, guess + MIN_TOKENS);
    return false;
  }
  count(stream.cell, LIMIT_ADMITTED);
  stream.limited = true;
  stream.reserved = taken;
  stream.reservedPrompt = taken > MIN_TOKENS ? min(guess, taken - MIN_TOKENS) : 0;
  stream.had = stream.left + taken;
  return true;
}

/** Reserves up to `wanted` tokens for the answer, with those reserved before; returns how many there are. */
export function reserveCompletion(stream: Stream, wanted: u32): u32 {
  if (!stream.limited) return wanted;
  const have = stream.reserved - stream.reservedPrompt;
  if (wanted > have) stream.reserved += take(stream, 1, wanted - have);
  return stream.reserved - stream.reservedPrompt;
}

/** Tokens that so many bytes are taken to be, unread. */
function tokensOf(bytes: u64): u32 {
  return <u32>min<u64>((bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN, MAX_GUESSED);
}

/** More of a body came by: who leaves before its end pays what was seen, not what was promised. */
export function notePrompt(stream: Stream, bytes: u32): void {
  if (!stream.limited) return;
  stream.seenBytes += bytes;
  const scan = promptJsonOf(stream);
  const begun = isInText(scan) ? bytesOf(scan) : 0;
  const maxBytes: u32 = MAX_GUESSED * BYTES_PER_TOKEN;
  // What stands in a form is a file, and little text.
  if (!stream.readsPrompt && stream.api.price == FLAT) return;
  const came =
    stream.readsPrompt && !isBroken(scan)
      ? stream.promptBytes + min(begun, maxBytes)
      : min(stream.seenBytes, maxBytes);
  stream.promptEstimate = (came + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
}

/** Tokens that the request needs as far as it is known. */
export function neededTokens(stream: Stream): u32 {
  const answers = max<f64>(stream.choices, 1) * <f64>max<u32>(stream.prompts, 1);
  const answerTokens = <u32>min(max<f64>(answers, MIN_TOKENS), 1_000_000_000);
  return (stream.promptBytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN + answerTokens;
}

/**
 * The whole of a JSON prompt is known: corrects what was guessed of it. False where
 * there were not so many tokens when the request came; one that is larger than a
 * minute's worth is let on where the bucket was full, and what is missing is owed.
 */
export function correctPromptEstimate(stream: Stream): bool {
  const tokens = (stream.promptBytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
  stream.promptEstimate = tokens;
  if (!stream.limited) return true;
  const short = <u64>tokens + MIN_TOKENS > stream.had && stream.had < stream.perMinute;
  const missing = <i64>tokens - <i64>stream.reservedPrompt;
  if (missing != 0 && !short) {
    adjust(stream, missing);
    stream.reserved = stream.reserved - stream.reservedPrompt + tokens;
    stream.reservedPrompt = tokens;
  }
  return !short;
}

/** The stream is over and used so many tokens: gives back the rest, or takes what is missing. */
export function settle(stream: Stream, used: u64): void {
  if (!stream.limited) return;
  stream.limited = false;
  adjust(stream, <i64>used - <i64>stream.reserved);
}
