import { COLON, COMMA, OPEN_BRACKET, SPACE, TAB } from "../format/ascii-codes";
import { sha256Hex } from "../format/sha256";
import {
  arenaAlloc,
  EXTENDED,
  findHeader,
  isLiteral,
  isText,
  literal,
  nextHeader,
  RANGES,
  readProperty,
  Span,
  sameBytes,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { isRangeIn, rangeOf } from "./ranges";
import { findSan } from "./san";
import { API_KEY, HEADER, KeySource, SOURCE_IP } from "./sources";

const authorization = literal("authorization");
const xApiKey = literal("x-api-key");
const sourceAddress = literal("source\0address");

/** "sha256:" and 64 hex digits. */
const HASH_BYTES: usize = 71;
const hashed: usize = memory.data(<i32>HASH_BYTES + 1, 8);

const key = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));
let kind: i32 = HEADER;
let conflict: bool = false;

/**
 * Finds who is calling: the first source with a value. All values of a header
 * count, repeated or comma-joined; values that differ identify no one, because
 * whatever stands behind may read another one of them (CVE-2020-25017,
 * CVE-2026-26308).
 *
 * @returns the key, until the next is looked for or the callback ends; null when there is none
 */
export function findKey(sources: usize): Span | null {
  for (let at = sources; at != 0; at = changetype<KeySource>(at).next) {
    const source = changetype<KeySource>(at);
    kind = source.kind;
    key.bytes = 0;
    conflict = false;
    if (source.kind == HEADER) addHeader(source.header, false);
    else if (source.kind == API_KEY) {
      addHeader(authorization, true);
      addHeader(xApiKey, false);
    } else if (!EXTENDED || source.kind == SOURCE_IP) addAddress(source);
    else findSan(source.kind, key);
    if (conflict) return null;
    if (key.bytes > 0) return key;
  }
  return null;
}

function addHeader(name: Text, bearer: bool): void {
  for (let row = findHeader(name); row != 0; row = nextHeader(name, row)) {
    const end = valuePtr(row) + valueBytes(row);
    let from = valuePtr(row);
    while (from < end) {
      let to = from;
      while (to < end && load<u8>(to) != COMMA) to++;
      addValue(from, to, bearer);
      from = to + 1;
    }
  }
}

function isSpace(byte: u8): bool {
  return byte == SPACE || byte == TAB;
}

function addValue(start: usize, stop: usize, bearer: bool): void {
  let from = start;
  let to = stop;
  while (from < to && isSpace(load<u8>(from))) from++;
  while (to > from && isSpace(load<u8>(to - 1))) to--;
  if (bearer) {
    if (to - from < 8 || !isBearer(from)) return;
    from += 7;
    while (from < to && isSpace(load<u8>(from))) from++;
  }
  if (from == to) return;
  const bytes = to - from;
  const found = key.bytes;
  if (found == 0) {
    key.ptr = from;
    key.bytes = bytes;
  } else if (found != bytes || !sameBytes(key.ptr, from, bytes)) conflict = true;
}

/** "Bearer " in any case (RFC 9110, section 11.1: schemes are case-insensitive). */
function isBearer(ptr: usize): bool {
  return (
    (load<u32>(ptr) | 0x20202020) == 0x72616562 &&
    (load<u16>(ptr, 4) | 0x2020) == 0x7265 &&
    isSpace(load<u8>(ptr, 6))
  );
}

/**
 * "ip:port" or "[ip]:port" without the port, which changes with every connection, without
 * brackets, and without what marks an address of IPv4 that came as one of IPv6; or the
 * name of the range that it is in.
 */
function addAddress(source: KeySource): void {
  const address = readProperty(sourceAddress);
  if (address === null) return;
  let ptr = address.ptr;
  let bytes = address.bytes;
  let port = bytes;
  while (port > 0 && load<u8>(ptr + port - 1) != COLON) port--;
  if (port > 1) bytes = port - 1;
  if (bytes > 2 && load<u8>(ptr) == OPEN_BRACKET) {
    ptr++;
    bytes -= 2;
    // "::ffff:"
    if (load<u64>(ptr) << 8 == 0x3a666666663a3a00) {
      ptr += 7;
      bytes -= 7;
    }
  }
  if (RANGES) {
    const range = rangeOf(source.ranges, ptr, bytes);
    if (range !== null) {
      const name = range.name;
      ptr = textPtr(name);
      bytes = textBytes(name);
    }
  }
  key.ptr = ptr;
  key.bytes = bytes;
}

/**
 * Finds the caller as configurations name tenants: API keys by "sha256:" and
 * their digest. A header that claims such a name identifies no one, for the
 * digest is no secret; nor does one that claims a range of addresses.
 *
 * @returns the tenant's name, until the next key is looked for; null when there is none
 */
export function findTenant(sources: usize): Span | null {
  const found = findKey(sources);
  if (found === null) return null;
  if (EXTENDED && kind > SOURCE_IP) return nameSan(found);
  const ptr = found.ptr;
  const bytes = found.bytes;
  if (EXTENDED && bytes > 4 && isLiteral("san:", ptr, 4)) return null;
  if (RANGES && kind == HEADER && claimsRange(sources, found)) return null;
  if (kind != API_KEY) return bytes >= 7 && isLiteral("sha256:", ptr, 7) ? null : found;
  store<u64>(hashed, 0x3a363532616873); // "sha256:"
  sha256Hex(ptr, bytes, hashed + 7);
  found.ptr = hashed;
  found.bytes = HASH_BYTES;
  return found;
}

/**
 * Whether a caller that is none of the tenants has no known identity: nothing identifies it, or
 * an API key that nobody has. The names in headers and certificates were checked by who wrote them.
 */
export function isUnidentified(sources: usize): bool {
  return findTenant(sources) === null || kind == API_KEY;
}

/** Whether a header says what only the connection tells where ranges are named. */
function claimsRange(sources: usize, name: Span): bool {
  for (let at = sources; at != 0; at = changetype<KeySource>(at).next)
    if (isRangeIn(changetype<KeySource>(at).ranges, name.ptr, name.bytes)) return true;
  return false;
}

/** "san:" and the name, as tenants that certificates tell are written. */
function nameSan(name: Span): Span | null {
  const bytes = name.bytes;
  const ptr = arenaAlloc(bytes + 4);
  if (ptr == 0) return null;
  store<u32>(ptr, 0x3a6e6173); // "san:"
  memory.copy(ptr + 4, name.ptr, bytes);
  name.ptr = ptr;
  name.bytes = bytes + 4;
  return name;
}

/** Whether the caller, told by these sources, is one of the listed tenants (links of next and text). */
export function isCallerIn(list: usize, sources: usize): bool {
  const name: Span | null = list == 0 ? null : findTenant(sources);
  if (name === null) return false;
  for (let link = list; link != 0; link = load<usize>(link))
    if (isText(load<usize>(link, 4), name.ptr, name.bytes)) return true;
  return false;
}
