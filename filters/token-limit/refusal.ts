import { writeGoDuration } from "../format/duration";
import {
  endProblem,
  keepHeaders,
  keptBytes,
  keptHeaders,
  requestSeed,
  retryAfterS,
} from "../refusal";
import {
  beginPair,
  beginPairs,
  beginText,
  endPair,
  literal,
  reply,
  write,
  writeText,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { Stream } from "./stream";
import { Tier } from "./tier";

const MINUTE_MS: u64 = 60_000;

const limited = literal("weir_tokens_limited");
const malformed = literal("weir_body_malformed");

/** Time until a bucket is full, in milliseconds. */
export function resetMs(left: u64, perMinute: u64): u64 {
  return left >= perMinute ? 0 : ((perMinute - left) * MINUTE_MS + perMinute - 1) / perMinute;
}

/** Refuses the request with 429: its tenant has too few tokens left. */
export function refuseTokens(stream: Stream, tier: Tier, left: u64, waitNs: u64): void {
  const retryS = retryAfterS(waitNs, requestSeed());
  writeHeaders(stream, tier, left, retryS);
  keepHeaders();
  writeProblem(tier, left, retryS);
  reply(429, limited, keptHeaders, keptBytes, written(), writtenBytes(), -1);
}

// draft-ietf-httpapi-ratelimit-headers-11 knows no unit for tokens; the
// parameter says which one is meant. OpenAI's names are what clients read.
function writeHeaders(stream: Stream, tier: Tier, left: u64, retryS: u64): void {
  const limit = tier.tokensPerMinute;
  const stop = limit == 0;
  const tells = stream.burst != 0;
  beginPairs(7 + (stop ? 1 : 0) + (tells ? 3 : 0));
  beginPair(0, "retry-after");
  writeUint(retryS);
  endPair(0);
  beginPair(1, "ratelimit-policy");
  write('"tokens";q=');
  writeUint(limit);
  write(';w=60;weir-unit="tokens"');
  endPair(1);
  beginPair(2, "ratelimit");
  write('"tokens";r=');
  writeUint(left);
  write(";t=");
  writeUint(retryS);
  endPair(2);
  beginPair(3, "x-ratelimit-limit-tokens");
  writeUint(limit);
  endPair(3);
  beginPair(4, "x-ratelimit-remaining-tokens");
  writeUint(left);
  endPair(4);
  beginPair(5, "x-ratelimit-reset-tokens");
  writeGoDuration(stop ? MINUTE_MS : resetMs(left, limit));
  endPair(5);
  beginPair(6, "content-type");
  write("application/problem+json");
  endPair(6);
  let next: u32 = 7;
  if (stop) {
    beginPair(next, "x-should-retry");
    write("false");
    endPair(next++);
  }
  if (!tells) return;
  beginPair(next, "x-ratelimit-limit-requests");
  writeUint(stream.burst);
  endPair(next++);
  beginPair(next, "x-ratelimit-remaining-requests");
  writeUint(stream.requestsLeft);
  endPair(next++);
  beginPair(next, "x-ratelimit-reset-requests");
  writeGoDuration(stream.requestsResetMs);
  endPair(next);
}

/** RFC 9457, with the problem type and member of the RateLimit draft. */
function writeProblem(tier: Tier, left: u64, retryS: u64): void {
  beginText();
  write(
    '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"code":"tokens_limited","detail":"token limit of tier ',
  );
  writeText(tier.name);
  write(" reached: ");
  writeUint(left);
  write(" of ");
  writeUint(tier.tokensPerMinute);
  write(" tokens a minute are left, retry in ");
  writeUint(retryS);
  write(' s","violated-policies":["tokens"]');
  endProblem();
}

/** Refuses a body that broke off in the middle of a document and has trailers behind it. */
export function refuseBody(): void {
  beginText();
  write('{"title":"The body is not a whole JSON document","status":400,"code":"body_malformed"}');
  reply(400, malformed, 0, 0, written(), writtenBytes(), -1);
}
