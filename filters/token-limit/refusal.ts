import { ANTHROPIC, beginApiProblem, keepDetail, problemType } from "../apis";
import { writeGoDuration } from "../format/duration";
import { xxh64 } from "../format/xxh64";
import { writeLastName } from "../measure";
import { endProblem, keepHeaders, requestSeed, retryAfterS } from "../refusal";
import {
  Ascii,
  beginPairOf,
  beginPairs,
  beginText,
  endPair,
  findHeader,
  hasHeader,
  literal,
  reply,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
  write,
  writeSafe,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import {
  limitRequests,
  limitTokens,
  remainingRequests,
  remainingTokens,
  resetRequests,
  resetTokens,
} from "./header-names";
import { ID_BYTES, idOf, Stream } from "./stream";

const MINUTE_MS: u64 = 60_000;
const RESOURCE_EXHAUSTED: i32 = 8;
const INVALID_ARGUMENT: i32 = 3;

const requestId = literal("x-request-id");
const retryAfter = literal("retry-after");
const policy = literal("ratelimit-policy");
const rateLimit = literal("ratelimit");
const contentType = literal("content-type");
const acceptEncoding = literal("accept-encoding");
const shouldRetry = literal("x-should-retry");
const limited = literal("weir_tokens_limited");
const unread = literal("weir_body_refused");

/** Time until a bucket is full, in milliseconds. */
export function resetMs(left: u64, perMinute: u64): u64 {
  return left >= perMinute ? 0 : ((perMinute - left) * MINUTE_MS + perMinute - 1) / perMinute;
}

/** Refuses the request with 429: its tenant has too few tokens left. */
export function refuseTokens(stream: Stream): void {
  const retryS = retryAfterS(stream.waitNs, seedOf(stream));
  writeHeaders(stream, retryS);
  const headers = keepHeaders();
  beginText();
  write("token limit of tier ");
  writeLastName(stream.cell);
  write(" reached: ");
  writeUint(stream.left);
  write(" of ");
  writeUint(stream.perMinute);
  write(" tokens a minute are left, retry in ");
  writeUint(retryS);
  write(" s");
  keepDetail();
  writeProblem(
    stream,
    '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",',
    '"title":"Request cannot be satisfied as assigned quota has been exceeded","violated-policies":["tokens"],"status":429,"code":"tokens_limited"',
    stream.api.errors == ANTHROPIC ? "rate_limit_error" : "tokens",
    "tokens_limited",
  );
  reply(429, limited, headers.ptr, headers.bytes, written(), writtenBytes(), RESOURCE_EXHAUSTED);
}

/**
 * Refuses a body that cannot be read, or a field of it, which `name` then is.
 *
 * @param status of the answer, and within its members `title`, `status` and `code`
 */
export function refuseBody(
  stream: Stream,
  status: i32,
  members: Ascii,
  code: Ascii,
  name: usize,
  bytes: usize,
  reason: Ascii,
): void {
  next = 0;
  const encoding = status == 415;
  beginPairs(encoding ? 2 : 1);
  tellType(stream.api.errors);
  if (encoding) {
    begin(acceptEncoding);
    write("identity");
    end();
  }
  const headers = keepHeaders();
  beginText();
  writeSafe(name, bytes);
  write(reason);
  keepDetail();
  writeProblem(stream, "{", members, "invalid_request_error", code);
  reply(status, unread, headers.ptr, headers.bytes, written(), writtenBytes(), INVALID_ARGUMENT);
}

function writeProblem(
  stream: Stream,
  start: Ascii,
  members: Ascii,
  type: Ascii,
  code: Ascii,
): void {
  beginApiProblem(stream.api.errors, start, members, type, code);
  if (hasHeader(requestId) || stream.idBytes == 0) {
    endProblem();
    return;
  }
  write(',"request_id":"');
  writeSafe(idOf(stream), stream.idBytes);
  write('"}');
}

/** A seed of the request: of its id, which is out of the headers' reach once its body passes. */
function seedOf(stream: Stream): u64 {
  return hasHeader(requestId) ? requestSeed() : xxh64(idOf(stream), stream.idBytes, 1) >> 32;
}

/** Keeps the id of a request whose body may be refused. */
export function keepId(stream: Stream): void {
  const row = findHeader(requestId);
  if (row == 0) return;
  stream.idBytes = <u32>min<usize>(valueBytes(row), ID_BYTES);
  memory.copy(idOf(stream), valuePtr(row), stream.idBytes);
}

/** Number of the header that is written next. */
let next: u32 = 0;

function begin(name: Text): void {
  beginPairOf(next, textPtr(name), textBytes(name));
}

function end(): void {
  endPair(next++);
}

function tell(name: Text, value: u64): void {
  begin(name);
  writeUint(value);
  end();
}

function tellReset(name: Text, ms: u64): void {
  begin(name);
  writeGoDuration(ms);
  end();
}

function tellType(errors: u8): void {
  begin(contentType);
  write(problemType(errors));
  end();
}

// draft-ietf-httpapi-ratelimit-headers-11 knows no unit for tokens; the
// parameter says which one is meant. OpenAI's names are what clients read.
function writeHeaders(stream: Stream, retryS: u64): void {
  const left = stream.left;
  const limit = stream.perMinute;
  const stop = limit == 0;
  const tells = stream.burst != 0;
  next = 0;
  beginPairs(7 + (stop ? 1 : 0) + (tells ? 3 : 0));
  tell(retryAfter, retryS);
  begin(policy);
  write('"tokens";q=');
  writeUint(limit);
  write(';w=60;weir-unit="tokens"');
  end();
  begin(rateLimit);
  write('"tokens";r=');
  writeUint(left);
  write(";t=");
  writeUint(retryS);
  end();
  tell(limitTokens, limit);
  tell(remainingTokens, left);
  tellReset(resetTokens, stop ? MINUTE_MS : resetMs(left, limit));
  tellType(stream.api.errors);
  if (stop) {
    begin(shouldRetry);
    write("false");
    end();
  }
  if (!tells) return;
  tell(limitRequests, stream.burst);
  tell(remainingRequests, stream.requestsLeft);
  tellReset(resetRequests, stream.requestsResetMs);
}
