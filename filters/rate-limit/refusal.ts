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
const RESOURCE_EXHAUSTED: i32 = 8;

const contentType = literal("content-type");
const requestId = literal("x-request-id");
const details = literal("weir_rate_limited");

/**
 * Whole seconds for Retry-After: rounded up, a little later for some so that
 * they do not all come back at once, and within the 1 to 60 that clients obey
 * (openai-node takes anything else for its own back-off).
 */
function retryAfterS(waitNs: u64): u64 {
  const seconds = min(max((waitNs + NS_PER_S - 1) / NS_PER_S, 1), MOST_RETRY_S);
  const spread = seconds / 4 + 1;
  return min(seconds + (jitter() % (spread + 1)), MOST_RETRY_S);
}

function jitter(): u64 {
  const row = findHeader(requestId);
  return row < 0 ? 0 : xxh64(valuePtr(row), valueBytes(row), 1) >> 32;
}

/** Refuses the request with 429, or grpc-status 8 (RESOURCE_EXHAUSTED) where it is gRPC. */
export function refuse(tier: Tier, waitNs: u64): void {
  const retryS = retryAfterS(waitNs);
  const grpc = isGrpc();
  writeHeaders(tier, waitNs, retryS, grpc);
  const headersBytes = writtenBytes();
  const headers = arenaAlloc(headersBytes);
  if (headers != 0) memory.copy(headers, written(), headersBytes);
  if (grpc) writeGrpcMessage(tier, retryS);
  else writeProblem(tier, retryS);
  reply(
    429,
    details,
    headers,
    headers == 0 ? 0 : headersBytes,
    written(),
    writtenBytes(),
    grpc ? RESOURCE_EXHAUSTED : -1,
  );
}

function isGrpc(): bool {
  const row = findHeader(contentType);
  if (row < 0 || valueBytes(row) < 16) return false;
  // "application/grpc", also "+proto"; grpc-web and Connect read the HTTP status.
  const ptr = valuePtr(row);
  const known = load<u64>(ptr) == 0x746163696c707061 && load<u64>(ptr, 8) == 0x637072672f6e6f69;
  return known && (valueBytes(row) == 16 || load<u8>(ptr, 16) == 0x2b || load<u8>(ptr, 16) == 0x3b);
}

// draft-ietf-httpapi-ratelimit-headers-11; its names stand here and nowhere else.
function writeHeaders(tier: Tier, waitNs: u64, retryS: u64, grpc: bool): void {
  const stop = tier.intervalNs == 0;
  beginPairs(grpc ? 3 : stop ? 8 : 7);
  beginPair(0, "retry-after");
  writeUint(retryS);
  endPair(0);
  beginPair(1, "ratelimit-policy");
  write('"requests";q=');
  writeUint(tier.burst);
  write(";w=");
  writeUint(max((tier.windowNs + NS_PER_S - 1) / NS_PER_S, 1));
  endPair(1);
  beginPair(2, "ratelimit");
  write('"requests";r=0;t=');
  writeUint(retryS);
  endPair(2);
  if (grpc) return;
  beginPair(3, "x-ratelimit-limit-requests");
  writeUint(tier.burst);
  endPair(3);
  beginPair(4, "x-ratelimit-remaining-requests");
  writeByte(0x30);
  endPair(4);
  beginPair(5, "x-ratelimit-reset-requests");
  writeGoDuration((waitNs + 999_999) / 1_000_000);
  endPair(5);
  beginPair(6, "content-type");
  write("application/problem+json");
  endPair(6);
  if (!stop) return;
  // A tier that admits nothing is no reason to come back.
  beginPair(7, "x-should-retry");
  write("false");
  endPair(7);
}

function writeGrpcMessage(tier: Tier, retryS: u64): void {
  beginText();
  writeDetail(tier, retryS);
}

function writeDetail(tier: Tier, retryS: u64): void {
  write("request limit of tier ");
  writeText(tier.name);
  write(" reached: retry in ");
  writeUint(retryS);
  write(" s");
}

/** RFC 9457, with the problem type and member of the RateLimit draft. */
function writeProblem(tier: Tier, retryS: u64): void {
  beginText();
  write(
    '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429,"code":"rate_limited","detail":"',
  );
  writeDetail(tier, retryS);
  write('","violated-policies":["requests"]');
  const row = findHeader(requestId);
  if (row >= 0) {
    write(',"request_id":"');
    writeSafe(valuePtr(row), min(valueBytes(row), 128));
    writeByte(0x22);
  }
  writeByte(0x7d);
}
