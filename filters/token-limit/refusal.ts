import { writeGoDuration } from "../format/duration";
import { xxh64 } from "../format/xxh64";
import {
  arenaAlloc,
  beginPair,
  beginPairs,
  beginText,
  endPair,
  findHeader,
  literal,
  reply,
  valueBytes,
  valuePtr,
  write,
  writeByte,
  writeSafe,
  writeText,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { Tier } from "./tier";

const NS_PER_S: u64 = 1_000_000_000;
const MOST_RETRY_S: u64 = 60;
const MINUTE_MS: u64 = 60_000;

const requestId = literal("x-request-id");
const limited = literal("weir_tokens_limited");
const malformed = literal("weir_body_malformed");

/** Whole seconds within the 1 to 60 that clients obey, a little later for some so that not all come back at once. */
function retryAfterS(waitNs: u64): u64 {
  const seconds = min(max((waitNs + NS_PER_S - 1) / NS_PER_S, 1), MOST_RETRY_S);
  const row = findHeader(requestId);
  const jitter = row < 0 ? 0 : xxh64(valuePtr(row), valueBytes(row), 1) >> 32;
  return min(seconds + (jitter % (seconds / 4 + 2)), MOST_RETRY_S);
}

/** Time until a bucket is full, in milliseconds. */
export function resetMs(left: u64, perMinute: u64): u64 {
  return left >= perMinute ? 0 : ((perMinute - left) * MINUTE_MS + perMinute - 1) / perMinute;
}

/** Refuses the request with 429: its tenant has too few tokens left. */
export function refuseTokens(tier: Tier, left: u64, waitNs: u64): void {
  const retryS = retryAfterS(waitNs);
  writeHeaders(tier, left, retryS);
  const headersBytes = writtenBytes();
  const headers = arenaAlloc(headersBytes);
  if (headers != 0) memory.copy(headers, written(), headersBytes);
  writeProblem(tier, left, retryS);
  reply(429, limited, headers, headers == 0 ? 0 : headersBytes, written(), writtenBytes(), -1);
}

// draft-ietf-httpapi-ratelimit-headers-11 knows no unit for tokens; the
// parameter says which one is meant. OpenAI's names are what clients read.
function writeHeaders(tier: Tier, left: u64, retryS: u64): void {
  const limit = tier.tokensPerMinute;
  const stop = limit == 0;
  beginPairs(stop ? 8 : 7);
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
  if (!stop) return;
  beginPair(7, "x-should-retry");
  write("false");
  endPair(7);
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
  const row = findHeader(requestId);
  if (row >= 0) {
    write(',"request_id":"');
    writeSafe(valuePtr(row), min(valueBytes(row), 128));
    writeByte(0x22);
  }
  writeByte(0x7d);
}

/** Refuses a body that broke off in the middle of a document and has trailers behind it. */
export function refuseBody(): void {
  beginText();
  write('{"title":"The body is not a whole JSON document","status":400,"code":"body_malformed"}');
  reply(400, malformed, 0, 0, written(), writtenBytes(), -1);
}
