import { isBroken } from "../format/json-scan";
import { count, LIMIT_ADMITTED, LIMIT_REFUSED } from "../measure";
import { charge, left, take, taken } from "./budget";
import { promptJsonOf, Stream } from "./stream";
import { Tier } from "./tier";

/** English text has about so many bytes per token. */
export const BYTES_PER_TOKEN: u32 = 4;
/** A request is admitted when it can at least be answered with so many tokens. */
const LEAST_TOKENS: u32 = 16;
/** A longer body is rather an image than a prompt; what it really is shows when it has been read. */
const MOST_GUESSED: u32 = 16_384;

/** Reserves what a request of that many bytes needs at least; false when its tenant cannot pay. */
export function admit(stream: Stream, bucket: u64, tier: Tier, bodyBytes: u64): bool {
  stream.bucket = bucket;
  stream.perMinute = tier.tokensPerMinute;
  const guess = <u32>min<u64>((bodyBytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN, MOST_GUESSED);
  const need = guess + LEAST_TOKENS;
  if (!take(bucket, stream.perMinute, need, need)) {
    count(stream.cell, LIMIT_REFUSED);
    return false;
  }
  count(stream.cell, LIMIT_ADMITTED);
  stream.limited = true;
  stream.reserved = taken;
  stream.reservedPrompt = min(guess, taken);
  stream.promptEstimate = guess;
  stream.left = left;
  return true;
}

/** Reserves up to `wanted` tokens for the answer, with those reserved before; returns how many there are. */
export function reserveCompletion(stream: Stream, wanted: u32): u32 {
  if (!stream.limited) return wanted;
  const have = stream.reserved - stream.reservedPrompt;
  if (wanted > have && take(stream.bucket, stream.perMinute, 1, wanted - have)) {
    stream.reserved += taken;
    stream.left = left;
  }
  return stream.reserved - stream.reservedPrompt;
}

/** The whole of a JSON prompt is known: corrects what was guessed of it. */
export function needPrompt(stream: Stream): void {
  const scan = promptJsonOf(stream);
  if (scan.depth > 0 || isBroken(scan)) return;
  const tokens = (stream.promptBytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
  stream.promptEstimate = tokens;
  if (!stream.limited) return;
  const missing = <i64>tokens - <i64>stream.reservedPrompt;
  if (missing == 0) return;
  charge(stream.bucket, stream.perMinute, missing);
  stream.reserved = stream.reserved - stream.reservedPrompt + tokens;
  stream.reservedPrompt = tokens;
  stream.left = left;
}

/** The stream is over and used so many tokens: gives back the rest, or takes what is missing. */
export function settle(stream: Stream, used: u64): void {
  if (!stream.limited) return;
  stream.limited = false;
  charge(stream.bucket, stream.perMinute, <i64>used - <i64>stream.reserved);
}
