import { policyOf, Route, TOKEN_LIMIT } from "../document";
import { openRequest } from "../plugin";
import {
  Ascii,
  beginText,
  CONTINUE,
  findHeader,
  hasHeader,
  isLiteral,
  literal,
  nowNs,
  REQUEST_HEADERS,
  removeHeader,
  STOP_ITERATION,
  setHeader,
  valueBytes,
  valuePtr,
  writeUint,
  written,
  writtenBytes,
} from "../sdk";
import { left, waitNs } from "./budget";
import {
  bucketOfRequests,
  callerBucket,
  callerTier,
  cellOfCaller,
  cellOfRequest,
  findCaller,
  isShadow,
} from "./caller";
import { TokenLimitPolicy } from "./config";
import { ROOM } from "./prompt";
import { refuseTokens } from "./refusal";
import { lookAtRequests, requestsLeft, requestsResetMs } from "./requests-left";
import { admit } from "./reservation";
import { dropStream, openStream, Stream } from "./stream";
import { Tier } from "./tier";

const method = literal(":method");
const path = literal(":path");
const contentType = literal("content-type");
const contentEncoding = literal("content-encoding");
const contentLength = literal("content-length");
const acceptEncoding = literal("accept-encoding");

/** Begins to follow a request of a route that asks for it; refuses one whose tenant has too few tokens. */
export function onRequest(context: u32, last: bool): i32 {
  const route = openRequest();
  const at: usize = route == 0 ? 0 : policyOf(changetype<Route>(route), TOKEN_LIMIT);
  if (at == 0) return CONTINUE;
  const policy = changetype<TokenLimitPolicy>(at);
  findCaller(policy);
  const stream = openStream(context);
  stream.startNs = nowNs();
  stream.cell = cellOfRequest(policy, callerTier);
  stream.tenantCell = cellOfCaller(policy);
  stream.isCompletion = false;
  if (!isPost()) return CONTINUE;
  const completions = isPath("completions");
  stream.isResponses = isPath("responses");
  stream.isCompletion = completions || stream.isResponses || isPath("messages");
  const limited = callerTier != 0 && changetype<Tier>(callerTier).limited;
  if (callerTier != 0) tellRequests(policy, stream, changetype<Tier>(callerTier));
  if (limited && !admitted(stream, changetype<Tier>(callerTier))) {
    dropStream(context);
    return STOP_ITERATION;
  }
  if (stream.isCompletion) removePresent();
  stream.most = isShadow && stream.isCompletion ? policy.shadowMost : 0;
  const clamps = stream.most != 0;
  stream.readsPrompt = (limited || clamps) && !last && !hasHeader(contentEncoding);
  stream.wantsUsage = limited && completions && stream.readsPrompt;
  stream.inserts = (stream.wantsUsage || clamps) && stream.readsPrompt;
  stream.expectedTokens = policy.expectedTokens;
  stream.finishOverrun = limited && policy.finishOverrun;
  if (stream.inserts) makeRoom(stream);
  return CONTINUE;
}

function admitted(stream: Stream, tier: Tier): bool {
  if (admit(stream, callerBucket, tier, max<i64>(lengthOfBody(), 0))) return true;
  refuseTokens(stream, tier, left, waitNs);
  return false;
}

/** Notes what is left of the caller's limit on requests, where clients are told. */
function tellRequests(policy: TokenLimitPolicy, stream: Stream, tier: Tier): void {
  stream.burst = 0;
  if (
    tier.burst == 0 ||
    tier.intervalNs == 0 ||
    !lookAtRequests(bucketOfRequests(policy), tier, policy.proxies)
  )
    return;
  stream.burst = tier.burst;
  stream.requestsLeft = requestsLeft;
  stream.requestsResetMs = requestsResetMs;
}

/** What calls a model is posted; gRPC has bodies of its own. */
function isPost(): bool {
  const row = findHeader(method);
  if (row == 0 || !isLiteral("POST", valuePtr(row), valueBytes(row))) return false;
  const type = findHeader(contentType);
  return type == 0 || valueBytes(type) < 16 || !isLiteral("application/grpc", valuePtr(type), 16);
}

/** Whether the path's last segment has this name. */
function isPath(name: Ascii): bool {
  const row = findHeader(path);
  if (row == 0) return false;
  const start = valuePtr(row);
  let end = start;
  while (end < start + valueBytes(row) && !endsPath(load<u8>(end))) end++;
  while (end > start && load<u8>(end - 1) == 0x2f) end--;
  let from = end;
  while (from > start && load<u8>(from - 1) != 0x2f) from--;
  return isLiteral(name, from, end - from);
}

/** A query, a fragment, or parameters of the last segment. */
function endsPath(byte: u8): bool {
  return byte == 0x3f || byte == 0x23 || byte == 0x3b;
}

/** content-length; -1 when there is none that can be read. */
function lengthOfBody(): i64 {
  const row = findHeader(contentLength);
  if (row == 0 || valueBytes(row) == 0 || valueBytes(row) > 15) return -1;
  let length: i64 = 0;
  for (let i: usize = 0; i < valueBytes(row); i++) {
    const digit = load<u8>(valuePtr(row) + i);
    if (digit < 0x30 || digit > 0x39) return -1;
    length = length * 10 + (digit - 0x30);
  }
  return length;
}

/** Promises the pods a longer body than the client sends: room for what may be inserted, or for spaces. */
function makeRoom(stream: Stream): void {
  const length = lengthOfBody();
  if (length < 0) {
    if (!hasHeader(contentLength)) return;
    stream.wantsUsage = false;
    stream.inserts = false;
    return;
  }
  stream.room = ROOM;
  beginText();
  writeUint(<u64>length + ROOM);
  setHeader(REQUEST_HEADERS, contentLength, written(), writtenBytes());
}

/** What a pod compresses cannot be read. */
function removePresent(): void {
  if (hasHeader(acceptEncoding)) removeHeader(REQUEST_HEADERS, acceptEncoding);
}
