import { sha256Hex } from "../format/sha256";
import {
  arenaAlloc,
  findHeader,
  isLiteral,
  isText,
  literal,
  nextHeader,
  property,
  readProperty,
  sameBytes,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { isRangeIn, Range, rangeOf } from "./ranges";
import { findSan, sanBytes, sanPtr } from "./san";
import { API_KEY, HEADER, KeySource, SOURCE_IP } from "./sources";

const authorization = literal("authorization");
const xApiKey = literal("x-api-key");
const sourceAddress = literal("source\0address");

/** "sha256:" and 64 hex digits. */
const HASH_BYTES: usize = 71;
const hashed: usize = memory.data(72, 8);

/** The key found last, and the kind of the source it came from. */
export let keyPtr: usize = 0;
export let keyBytes: usize = 0;
export let keyKind: i32 = HEADER;
let conflict: bool = false;

/**
 * Finds who is calling: the first source with a value. All values of a header
 * count, repeated or comma-joined; values that differ identify no one, because
 * whatever stands behind may read another one of them (CVE-2020-25017,
 * CVE-2026-26308). False when there is no key.
 */
export function findKey(sources: usize): bool {
  for (let at = sources; at != 0; at = changetype<KeySource>(at).next) {
    const source = changetype<KeySource>(at);
    keyKind = source.kind;
    keyBytes = 0;
    conflict = false;
    if (source.kind == HEADER) addHeader(source.header, false);
    else if (source.kind == API_KEY) {
      addHeader(authorization, true);
      addHeader(xApiKey, false);
    } else if (!FULL || source.kind == SOURCE_IP) addAddress(source);
    else if (findSan(source.kind)) {
      keyPtr = sanPtr;
      keyBytes = sanBytes;
    }
    if (conflict) return false;
    if (keyBytes > 0) return true;
  }
  return false;
}

function addHeader(name: Text, bearer: bool): void {
  for (let row = findHeader(name); row != 0; row = nextHeader(name, row)) {
    const end = valuePtr(row) + valueBytes(row);
    let from = valuePtr(row);
    while (from < end) {
      let to = from;
      while (to < end && load<u8>(to) != 0x2c) to++;
      addValue(from, to, bearer);
      from = to + 1;
    }
  }
}

function isSpace(byte: u8): bool {
  return byte == 0x20 || byte == 0x09;
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
  if (keyBytes == 0) {
    keyPtr = from;
    keyBytes = to - from;
  } else if (keyBytes != to - from || !sameBytes(keyPtr, from, keyBytes)) conflict = true;
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
  if (!readProperty(sourceAddress)) return;
  let bytes = property.bytes;
  while (bytes > 0 && load<u8>(property.ptr + bytes - 1) != 0x3a) bytes--;
  keyPtr = property.ptr;
  keyBytes = bytes > 1 ? bytes - 1 : property.bytes;
  if (keyBytes > 2 && load<u8>(keyPtr) == 0x5b) {
    keyPtr++;
    keyBytes -= 2;
    // "::ffff:"
    if (load<u64>(keyPtr) << 8 == 0x3a666666663a3a00) {
      keyPtr += 7;
      keyBytes -= 7;
    }
  }
  if (!RANGES) return;
  const range = rangeOf(source.ranges, keyPtr, keyBytes);
  if (range == 0) return;
  const name = changetype<Range>(range).name;
  keyPtr = textPtr(name);
  keyBytes = textBytes(name);
}

/**
 * Finds the caller as configurations name tenants: API keys by "sha256:" and
 * their digest. A header that claims such a name identifies no one, for the
 * digest is no secret; nor does one that claims a range of addresses.
 */
export function findTenant(sources: usize): bool {
  if (!findKey(sources)) return false;
  if (FULL && keyKind > SOURCE_IP) return nameSan();
  if (FULL && keyBytes > 4 && isLiteral("san:", keyPtr, 4)) return false;
  if (RANGES && keyKind == HEADER && claimsRange(sources)) return false;
  if (keyKind != API_KEY) return keyBytes < 7 || !isLiteral("sha256:", keyPtr, 7);
  store<u64>(hashed, 0x3a363532616873); // "sha256:"
  sha256Hex(keyPtr, keyBytes, hashed + 7);
  keyPtr = hashed;
  keyBytes = HASH_BYTES;
  return true;
}

/** Whether a header says what only the connection tells where ranges are named. */
function claimsRange(sources: usize): bool {
  for (let at = sources; at != 0; at = changetype<KeySource>(at).next)
    if (isRangeIn(changetype<KeySource>(at).ranges, keyPtr, keyBytes)) return true;
  return false;
}

/** "san:" and the name, as tenants that certificates tell are written. */
function nameSan(): bool {
  const ptr = arenaAlloc(keyBytes + 4);
  if (ptr == 0) return false;
  store<u32>(ptr, 0x3a6e6173); // "san:"
  memory.copy(ptr + 4, keyPtr, keyBytes);
  keyPtr = ptr;
  keyBytes += 4;
  return true;
}

/** Whether the caller, told by these sources, is one of the listed tenants (links of next and text). */
export function isCallerIn(list: usize, sources: usize): bool {
  if (list == 0 || !findTenant(sources)) return false;
  for (let link = list; link != 0; link = load<usize>(link))
    if (isText(load<usize>(link, 4), keyPtr, keyBytes)) return true;
  return false;
}
