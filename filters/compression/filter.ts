import {
  addAcceptEncoding,
  BROTLI,
  GZIP,
  negotiate,
  openAcceptEncoding,
} from "../format/accept-encoding";
import { allHold } from "../match";
import { isPressed } from "../pressure";
import {
  Ascii,
  EXTENDED,
  findHeader,
  HeaderRow,
  hasHeader,
  isLiteral,
  isText,
  literal,
  nextHeader,
  REQUEST_HEADERS,
  removeHeader,
  setHeader,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { ALLOW, CompressionPolicy, Exception, SAME_ORIGIN } from "./config";

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
const authorization = literal("authorization");
const fetchSite = literal("sec-fetch-site");

/**
 * Leaves exactly the encoding in accept-encoding that Envoy's compressor shall
 * use, or none. The compressor stands behind this filter and hides the header
 * from the pods, so the decision is made here and nowhere else.
 */
export function applyCompression(policy: CompressionPolicy): void {
  const row = findHeader(acceptEncoding);
  if (row == 0) return;
  const chosen = mayCompress(policy) ? choose(algorithmsFor(policy), row) : 0;
  if (chosen == 0) {
    policy.denied.pending++;
    removeHeader(REQUEST_HEADERS, acceptEncoding);
    return;
  }
  policy.allowed.pending++;
  const name: Text = chosen == GZIP ? gzip : chosen == BROTLI ? brotli : zstd;
  if (isText(name, valuePtr(row), valueBytes(row)) && nextHeader(acceptEncoding, row) == 0) return;
  setHeader(REQUEST_HEADERS, acceptEncoding, textPtr(name), textBytes(name));
}

/** What the client may get: the route's algorithms, or those of the first exception that fits. */
function algorithmsFor(policy: CompressionPolicy): u32 {
  if (!EXTENDED) return policy.algorithms;
  for (let at = policy.exceptions; at != 0; at = changetype<Exception>(at).next)
    if (allHold(changetype<Exception>(at).match)) return changetype<Exception>(at).algorithms;
  return policy.algorithms;
}

function choose(algorithms: u32, first: HeaderRow): u32 {
  openAcceptEncoding();
  for (let row = first; row != 0; row = nextHeader(acceptEncoding, row))
    addAcceptEncoding(valuePtr(row), valueBytes(row));
  return negotiate(algorithms);
}

/** What the request alone tells against compression; the compressor itself looks at the answer. */
function mayCompress(policy: CompressionPolicy): bool {
  if (EXTENDED && policy.brownout && isPressed()) return false;
  if (hasHeader(upgrade) || hasHeader(protocol)) return false;
  // A part of a compressed answer is no part of the plain one.
  if (hasHeader(range)) return false;
  if (!maySecrets(policy.secrets)) return false;
  const verb = findHeader(method);
  if (verb != 0 && (isValue("HEAD", verb) || isValue("CONNECT", verb))) return false;
  return (
    !begins(contentType, "application/grpc") &&
    !contains(accept, "text/event-stream") &&
    !contains(cacheControl, "no-transform")
  );
}

/**
 * Length against guessed text tells secrets apart (BREACH), where a hostile page
 * can make a browser ask with the user's own credentials. A key that a program
 * sends is none of these.
 */
function maySecrets(secrets: u32): bool {
  if (secrets == ALLOW) return true;
  const credentials = findHeader(authorization);
  const ambient =
    hasHeader(cookie) ||
    (credentials != 0 && !startsAt(valuePtr(credentials), valueBytes(credentials), "bearer"));
  if (!ambient) return true;
  if (secrets != SAME_ORIGIN) return false;
  const site = findHeader(fetchSite);
  return site != 0 && nextHeader(fetchSite, site) == 0 && isValue("same-origin", site);
}

function isValue(value: Ascii, row: HeaderRow): bool {
  return isLiteral(value, valuePtr(row), valueBytes(row));
}

/** Whether the header begins with the word, in any case. */
function begins(name: Text, lower: Ascii): bool {
  const row = findHeader(name);
  return row != 0 && startsAt(valuePtr(row), valueBytes(row), lower);
}

/** Whether a value of the header has the word, which begins with a letter, in it, in any case. */
function contains(name: Text, lower: Ascii): bool {
  for (let row = findHeader(name); row != 0; row = nextHeader(name, row)) {
    const ptr = valuePtr(row);
    const bytes = valueBytes(row);
    const first = load<u8>(lower.ptr);
    for (let i: usize = 0; i < bytes; i++)
      if ((load<u8>(ptr + i) | 0x20) == first && startsAt(ptr + i, bytes - i, lower)) return true;
  }
  return false;
}

/** Whether a byte range begins with the word, in any case. */
function startsAt(ptr: usize, bytes: usize, lower: Ascii): bool {
  if (bytes < <usize>lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const c = load<u8>(ptr + <usize>i);
    const folded = c >= 0x41 && c <= 0x5a ? c | 0x20 : c;
    if (folded != load<u8>(lower.ptr + <usize>i)) return false;
  }
  return true;
}
