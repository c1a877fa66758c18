import { Api, apiOf, FREE, isEncoded, unknownApi, WRITES } from "../../apis";
import { policyOf, TOKEN_LIMIT } from "../../document";
import { NINE, ZERO } from "../../format/ascii-codes";
import { openRequest } from "../../plugin";
import {
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
} from "../../sdk";
import {
  bucketOfRequests,
  Caller,
  cellOfCaller,
  cellOfRequest,
  findCaller,
} from "../budget/caller";
import { admit } from "../budget/reservation";
import { TokenLimitPolicy } from "../config";
import { keepId, refuseTokens } from "../refusal";
import { dropStream, openStream, Stream } from "../stream";
import { Tier } from "../tier";
import { beginDenial, denyEncoding, finishDenial } from "./body-refusal";
import { ROOM, reserveUnread } from "./insertions";
import { lookAtRequests } from "./requests-left";

const method = literal(":method");
const path = literal(":path");
const contentType = literal("content-type");
const upgrade = literal("upgrade");
const contentLength = literal("content-length");
const acceptEncoding = literal("accept-encoding");

/** Who makes the request that is being read. */
const caller = changetype<Caller>(memory.data(<i32>offsetof<Caller>(), 8));

/** Begins to follow a request of a route that asks for it; refuses one whose tenant has too few tokens. */
export function onRequest(context: u32, last: bool): i32 {
  const route = openRequest();
  const policy: TokenLimitPolicy | null =
    route === null ? null : policyOf<TokenLimitPolicy>(route, TOKEN_LIMIT);
  if (policy === null) return CONTINUE;
  findCaller(policy, caller);
  const stream = openStream(context);
  stream.startNs = nowNs();
  stream.cell = cellOfRequest(policy, caller.tier);
  stream.tenantCell = cellOfCaller(policy, caller);
  stream.mayFallBack = policy.fallback;
  stream.api = unknownApi;
  if (!mayRunModel()) return CONTINUE;
  const api = apiOfRequest();
  stream.api = api;
  stream.isCall = true;
  stream.isCompletion = api.price == WRITES;
  const tier = caller.tier;
  const limited = tier !== null && tier.limited && api.price != FREE;
  if (tier !== null) tellRequests(policy, stream, tier);
  const unread = last || (api.takesForms && !isJson());
  if (tier !== null && limited && !admitted(stream, tier, unread)) {
    dropStream(context);
    return STOP_ITERATION;
  }
  if (api.price != FREE) removePresent();
  stream.clamps = caller.isShadow && stream.isCompletion && policy.shadowMaxTokens != 0;
  stream.maxTokens = tokenCeiling(policy, stream, limited);
  stream.expectedTokens = policy.expectedTokens;
  stream.cachedPercent = policy.cachedPercent;
  stream.writtenPercent = policy.writtenPercent;
  if (!(limited || stream.clamps)) return CONTINUE;
  if (unread) {
    reserveUnread(stream);
    return CONTINUE;
  }
  if (isEncoded()) {
    if (!limited) return CONTINUE;
    beginDenial();
    denyEncoding();
    finishDenial(stream);
    return STOP_ITERATION;
  }
  stream.readsPrompt = true;
  keepId(stream);
  stream.wantsUsage = limited && api.asksUsage;
  stream.inserts = true;
  stream.finishOverrun = limited && policy.finishOverrun && api.end.length > 0;
  makeRoom(stream);
  return CONTINUE;
}

/** The API that the path leads to; calls that nothing is known of where it leads nowhere. */
function apiOfRequest(): Api {
  const row = findHeader(path);
  const api: Api | null =
    row == 0 || hasHeader(upgrade) ? null : apiOf(valuePtr(row), valueBytes(row));
  return api === null ? unknownApi : api;
}

/** Most tokens of each answer: the lowest of what the route says; 0: any. */
function tokenCeiling(policy: TokenLimitPolicy, stream: Stream, limited: bool): u32 {
  const maxTokens = limited ? policy.maxTokens : 0;
  if (!stream.clamps) return maxTokens;
  return maxTokens == 0 ? policy.shadowMaxTokens : min(maxTokens, policy.shadowMaxTokens);
}

function admitted(stream: Stream, tier: Tier, unread: bool): bool {
  stream.maxDebtNs = caller.maxDebtNs;
  if (admit(stream, caller.bucket, tier, unread ? 0 : max<i64>(lengthOfBody(), 0))) return true;
  refuseTokens(stream);
  return false;
}

/** Notes what is left of the caller's limit on requests, where clients are told. */
function tellRequests(policy: TokenLimitPolicy, stream: Stream, tier: Tier): void {
  stream.burst = 0;
  if (tier.burst != 0 && tier.intervalNs != 0)
    lookAtRequests(stream, bucketOfRequests(policy, caller), tier, policy.proxies);
}

/** What only reads or takes away runs no model, unless it becomes a connection of its own. */
function mayRunModel(): bool {
  const row = findHeader(method);
  if (row == 0) return false;
  const ptr = valuePtr(row);
  const bytes = valueBytes(row);
  if (isLiteral("POST", ptr, bytes)) return true;
  if (isLiteral("GET", ptr, bytes)) return hasHeader(upgrade);
  return !(
    isLiteral("HEAD", ptr, bytes) ||
    isLiteral("OPTIONS", ptr, bytes) ||
    isLiteral("DELETE", ptr, bytes)
  );
}

/** Whether the body says that it is JSON; what neither does nor has to be is left as it is. */
function isJson(): bool {
  const row = findHeader(contentType);
  if (row == 0 || hasHeader(upgrade)) return false;
  const end = valuePtr(row) + valueBytes(row);
  if (valueBytes(row) >= 16 && isLiteral("application/grpc", valuePtr(row), 16)) return false;
  for (let at = valuePtr(row); at + 4 <= end; at++)
    if ((load<u32>(at) | 0x20202020) == 0x6e6f736a) return true; // json
  return false;
}

/** content-length; -1 when there is none that can be read. */
function lengthOfBody(): i64 {
  const row = findHeader(contentLength);
  if (row == 0 || valueBytes(row) == 0 || valueBytes(row) > 15) return -1;
  let length: i64 = 0;
  for (let i: usize = 0; i < valueBytes(row); i++) {
    const digit = load<u8>(valuePtr(row) + i);
    if (digit < ZERO || digit > NINE) return -1;
    length = length * 10 + (digit - 0x30);
  }
  return length;
}

/** Promises the pods a longer body than the client sends: room for what may be inserted, or for spaces. */
function makeRoom(stream: Stream): void {
  const length = lengthOfBody();
  if (length < 0) {
    // Without a length the body ends where it ends; Envoy lets no other length by.
    if (hasHeader(contentLength)) removeHeader(REQUEST_HEADERS, contentLength);
    return;
  }
  stream.sized = true;
  stream.room = ROOM;
  beginText();
  writeUint(<u64>length + ROOM);
  setHeader(REQUEST_HEADERS, contentLength, written(), writtenBytes());
}

/** What a pod compresses cannot be read. */
function removePresent(): void {
  if (hasHeader(acceptEncoding)) removeHeader(REQUEST_HEADERS, acceptEncoding);
}
