import { CLOSE_BRACKET, PLUS, QUOTE, SEMICOLON, ZERO } from "../format/ascii-codes";
import { writeGoDuration } from "../format/duration";
import { endProblem, keepHeaders, requestSeed, retryAfterS } from "../refusal";
import {
  Ascii,
  beginPair,
  beginPairs,
  beginText,
  EXTENDED,
  endPair,
  findHeader,
  literal,
  reply,
  Text,
  valueBytes,
  valuePtr,
  write,
  writeByte,
  writeText,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { Tier } from "./bucket/tier";

/** Why a request was refused; each has a code and a response code detail of its own. */
export const RATE: i32 = 0;
/** The tenant has as many requests in flight as its tier may. */
export const CONCURRENT: i32 = 1;
/** The route has as many requests in flight as it may. */
export const ROUTE_FULL: i32 = 2;
/** The pods are saturated, and lower tiers go first. */
export const OVERLOAD: i32 = 3;

const NS_PER_S: u64 = 1_000_000_000;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

const contentType = literal("content-type");
const rateDetails = literal("weir_rate_limited");
const concurrentDetails: Text = EXTENDED ? literal("weir_concurrency_limited") : 0;
const overloadDetails: Text = EXTENDED ? literal("weir_overloaded") : 0;
const routeFullDetails: Text = EXTENDED ? literal("weir_route_full") : 0;

/** 429 where the tenant's own limit refuses, 503 where capacity is missing. */
function isOwn(cause: i32): bool {
  return !EXTENDED || cause <= CONCURRENT;
}

/**
 * Answers the request with 429 or 503, or where it is gRPC with grpc-status 8
 * (RESOURCE_EXHAUSTED) or 14 (UNAVAILABLE).
 *
 * @param limit requests in flight, for CONCURRENT and ROUTE_FULL; else 0
 */
export function refuse(cause: i32, tier: Tier, waitNs: u64, limit: u32): void {
  const retryS = retryAfterS(waitNs, requestSeed());
  const grpc = isGrpc();
  writeHeaders(cause, tier, waitNs, retryS, limit, grpc);
  const headers = keepHeaders();
  beginText();
  if (grpc) writeDetail(cause, tier, retryS);
  else writeProblem(cause, tier, retryS);
  const own = isOwn(cause);
  reply(
    own ? 429 : 503,
    detailsOf(cause),
    headers.ptr,
    headers.bytes,
    written(),
    writtenBytes(),
    !grpc ? -1 : own ? RESOURCE_EXHAUSTED : UNAVAILABLE,
  );
}

function detailsOf(cause: i32): Text {
  if (EXTENDED && cause == CONCURRENT) return concurrentDetails;
  if (EXTENDED && cause == ROUTE_FULL) return routeFullDetails;
  if (EXTENDED && cause == OVERLOAD) return overloadDetails;
  return rateDetails;
}

function codeOf(cause: i32): Ascii {
  if (EXTENDED && cause == CONCURRENT) return "concurrency_limited";
  if (EXTENDED && cause == ROUTE_FULL) return "route_full";
  if (EXTENDED && cause == OVERLOAD) return "overloaded";
  return "rate_limited";
}

/** Name of the quota policy, in the RateLimit fields and in violated-policies. */
function policyOf(cause: i32): Ascii {
  if (EXTENDED && cause == CONCURRENT) return '"concurrent"';
  if (EXTENDED && cause == ROUTE_FULL) return '"route-concurrent"';
  return '"requests"';
}

/** Whether the request is gRPC, whose answers have a status of their own. */
export function isGrpc(): bool {
  const row = findHeader(contentType);
  if (row == 0 || valueBytes(row) < 16) return false;
  // "application/grpc", also "+proto"; grpc-web and Connect read the HTTP status.
  const ptr = valuePtr(row);
  const known = load<u64>(ptr) == 0x746163696c707061 && load<u64>(ptr, 8) == 0x637072672f6e6f69;
  return (
    known && (valueBytes(row) == 16 || load<u8>(ptr, 16) == PLUS || load<u8>(ptr, 16) == SEMICOLON)
  );
}

function writeHeaders(
  cause: i32,
  tier: Tier,
  waitNs: u64,
  retryS: u64,
  limit: u32,
  grpc: bool,
): void {
  const rate = !EXTENDED || cause == RATE;
  const stop = rate && tier.intervalNs == 0;
  // Being overloaded is no policy that a client could keep to.
  const overload = EXTENDED && cause == OVERLOAD;
  beginPairs((overload ? 1 : 3) + (grpc ? 0 : stop ? 5 : rate ? 4 : 1));
  pairs = 0;
  begin("retry-after");
  writeUint(retryS);
  end();
  if (!overload) writePolicy(cause, tier, retryS, limit);
  if (grpc) return;
  begin("content-type");
  write("application/problem+json");
  end();
  if (!rate) return;
  begin("x-ratelimit-limit-requests");
  writeUint(tier.burst);
  end();
  begin("x-ratelimit-remaining-requests");
  writeByte(ZERO);
  end();
  begin("x-ratelimit-reset-requests");
  writeGoDuration((waitNs + 999_999) / 1_000_000);
  end();
  if (!stop) return;
  // A tier that admits nothing is no reason to come back.
  begin("x-should-retry");
  write("false");
  end();
}

// draft-ietf-httpapi-ratelimit-headers-11; its names stand here and nowhere else.
function writePolicy(cause: i32, tier: Tier, retryS: u64, limit: u32): void {
  begin("ratelimit-policy");
  if (EXTENDED && cause != RATE) {
    write(policyOf(cause));
    write(";q=");
    writeUint(limit);
    write(';qu="concurrent-requests"');
  } else {
    write('"requests";q=');
    writeUint(tier.burst);
    write(";w=");
    writeUint(max((tier.windowNs + NS_PER_S - 1) / NS_PER_S, 1));
  }
  end();
  begin("ratelimit");
  if (EXTENDED) {
    write(policyOf(cause));
    write(";r=0;t=");
  } else write('"requests";r=0;t=');
  writeUint(retryS);
  end();
}

let pairs: u32 = 0;

function begin(key: Ascii): void {
  beginPair(pairs, key);
}

function end(): void {
  endPair(pairs);
  pairs++;
}

function writeDetail(cause: i32, tier: Tier, retryS: u64): void {
  if (EXTENDED && cause == OVERLOAD) write("the model is overloaded");
  else if (EXTENDED && cause == ROUTE_FULL) write("too many requests in flight");
  else {
    if (EXTENDED && cause == CONCURRENT) write("limit of requests in flight of tier ");
    else write("request limit of tier ");
    writeText(tier.name);
    write(" reached");
  }
  write(": retry in ");
  writeUint(retryS);
  write(" s");
}

/** RFC 9457, with the problem types and member of the RateLimit draft. */
function writeProblem(cause: i32, tier: Tier, retryS: u64): void {
  // Few long pieces where there is only one cause: each costs a call.
  if (EXTENDED) {
    write(
      isOwn(cause)
        ? '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"code":"'
        : '{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Request cannot be satisfied due to temporary server capacity constraints","status":503,"code":"',
    );
    write(codeOf(cause));
    write('","detail":"');
    writeDetail(cause, tier, retryS);
    writeByte(QUOTE);
    if (cause != OVERLOAD) {
      write(',"violated-policies":[');
      write(policyOf(cause));
      writeByte(CLOSE_BRACKET);
    }
    // Where OpenAI's clients look for words to show.
    write(',"error":{"message":"');
    writeDetail(cause, tier, retryS);
    write('","type":"');
    write(isOwn(cause) ? "requests" : "server_error");
    write('","code":"');
    write(codeOf(cause));
    write('"}');
  } else {
    write(
      '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"code":"rate_limited","detail":"',
    );
    writeDetail(cause, tier, retryS);
    write('","violated-policies":["requests"]');
  }
  endProblem();
}
