import {
  addAcceptEncoding,
  BROTLI,
  GZIP,
  negotiate,
  openAcceptEncoding,
} from "../format/accept-encoding";
import {
  Ascii,
  findHeader,
  isLiteral,
  isText,
  literal,
  REQUEST_HEADERS,
  removeHeader,
  setHeader,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { CompressionPolicy } from "./config";

const acceptEncoding = literal("accept-encoding");
const gzip = literal("gzip");
const brotli = literal("br");
const zstd = literal("zstd");
const method = literal(":method");
const upgrade = literal("upgrade");
const protocol = literal(":protocol");
const contentType = literal("content-type");
const range = literal("range");
const accept = literal("accept");
const cacheControl = literal("cache-control");
const cookie = literal("cookie");

/**
 * Leaves exactly the encoding in accept-encoding that Envoy's compressor shall
 * use, or none. The compressor stands behind this filter and hides the header
 * from the pods, so the decision is made here and nowhere else.
 */
export function applyCompression(policy: CompressionPolicy): void {
  const row = findHeader(acceptEncoding);
  if (row < 0) return;
  const chosen = mayCompress(policy) ? choose(policy, row) : 0;
  if (chosen == 0) {
    policy.denied.pending++;
    removeHeader(REQUEST_HEADERS, acceptEncoding);
    return;
  }
  policy.allowed.pending++;
  const name: Text = chosen == GZIP ? gzip : chosen == BROTLI ? brotli : zstd;
  if (isText(name, valuePtr(row), valueBytes(row)) && findHeader(acceptEncoding, row + 1) < 0)
    return;
  setHeader(REQUEST_HEADERS, acceptEncoding, textPtr(name), textBytes(name));
}

function choose(policy: CompressionPolicy, first: i32): u32 {
  openAcceptEncoding();
  for (let row = first; row >= 0; row = findHeader(acceptEncoding, row + 1))
    addAcceptEncoding(valuePtr(row), valueBytes(row));
  return negotiate(changetype<usize>(policy), policy.algorithmCount);
}

/** What the request alone tells against compression; the compressor itself looks at the answer. */
function mayCompress(policy: CompressionPolicy): bool {
  if (findHeader(upgrade) >= 0 || findHeader(protocol) >= 0) return false;
  // A part of a compressed answer is no part of the plain one.
  if (findHeader(range) >= 0) return false;
  // Length against guessed text tells secrets apart (BREACH).
  if (!policy.allowSecrets && findHeader(cookie) >= 0) return false;
  const verb = findHeader(method);
  if (verb >= 0 && (isValue("HEAD", verb) || isValue("CONNECT", verb))) return false;
  return (
    !contains(contentType, "application/grpc") &&
    !contains(accept, "text/event-stream") &&
    !contains(cacheControl, "no-transform")
  );
}

function isValue(value: Ascii, row: i32): bool {
  return isLiteral(value, valuePtr(row), valueBytes(row));
}

/** Whether a value of the header has the word in it, in any case. */
function contains(name: Text, lower: Ascii): bool {
  for (let row = findHeader(name); row >= 0; row = findHeader(name, row + 1)) {
    const ptr = valuePtr(row);
    const bytes = <i32>valueBytes(row);
    for (let i = 0; i + lower.length <= bytes; i++)
      if (startsAt(ptr + <usize>i, lower)) return true;
  }
  return false;
}

function startsAt(ptr: usize, lower: Ascii): bool {
  for (let i = 0; i < lower.length; i++) {
    const c = load<u8>(ptr + <usize>i);
    const folded = c >= 0x41 && c <= 0x5a ? c | 0x20 : c;
    if (folded != load<u8>(lower.ptr + <usize>i)) return false;
  }
  return true;
}
