import { BACKSLASH, COMMA, EQUALS, QUOTE, SEMICOLON, SPACE } from "../format/ascii-codes";
import {
  Ascii,
  EXTENDED,
  findHeader,
  HeaderRow,
  isLiteral,
  literal,
  nextHeader,
  readProperty,
  Span,
  Text,
  valueBytes,
  valuePtr,
} from "../sdk";
import { CONNECTION_SAN } from "./sources";

const uriSan: Text = EXTENDED ? literal("connection\0uri_san_peer_certificate") : 0;
const dnsSan: Text = EXTENDED ? literal("connection\0dns_san_peer_certificate") : 0;
const forwardedCert: Text = EXTENDED ? literal("x-forwarded-client-cert") : 0;

/**
 * Finds the name that a client certificate proves: its URI (in a mesh the
 * SPIFFE id), else its DNS name. Of the connection only what Envoy verified
 * counts. Of x-forwarded-client-cert only the last element does, which the
 * nearest proxy wrote; earlier ones may come from anywhere.
 *
 * @param into the name, which stays as it is where there is none
 */
export function findSan(kind: i32, into: Span): void {
  if (kind != CONNECTION_SAN) findForwarded(into);
  else {
    let name = readProperty(uriSan);
    if (name === null || name.bytes == 0) name = readProperty(dnsSan);
    if (name === null) return;
    into.ptr = name.ptr;
    into.bytes = name.bytes;
  }
}

function findForwarded(into: Span): void {
  let last: HeaderRow = 0;
  for (let row = findHeader(forwardedCert); row != 0; row = nextHeader(forwardedCert, row))
    last = row;
  if (last == 0) return;
  const end = valuePtr(last) + valueBytes(last);
  const start = lastElement(valuePtr(last), end);
  if (!findPair("URI", start, end, into)) findPair("DNS", start, end, into);
}

/** Where the part behind the last comma begins that stands outside of quotes. */
function lastElement(from: usize, end: usize): usize {
  let start = from;
  for (let at = from; at < end; at = skip(at, end)) if (load<u8>(at) == COMMA) start = at + 1;
  return start;
}

/** The next byte outside of quotes. */
function skip(at: usize, end: usize): usize {
  if (load<u8>(at) != QUOTE) return at + 1;
  for (at++; at < end; at++) {
    const c = load<u8>(at);
    if (c == BACKSLASH) at++;
    else if (c == QUOTE) return at + 1;
  }
  return end;
}

/** Finds the first pair of that key in one element: Key=value;Key="quoted value";... */
function findPair(key: Ascii, from: usize, end: usize, into: Span): bool {
  while (from < end) {
    let to = from;
    while (to < end && load<u8>(to) != SEMICOLON) to = skip(to, end);
    while (from < to && load<u8>(from) == SPACE) from++;
    const value = from + <usize>key.length + 1;
    if (value < to && load<u8>(value - 1) == EQUALS && isLiteral(key, from, key.length))
      return take(value, to, into);
    from = to + 1;
  }
  return false;
}

/** Takes a value without its quotes; one with escapes in it is not a name that anyone has. */
function take(from: usize, to: usize, into: Span): bool {
  if (load<u8>(from) == QUOTE && to - from > 1) {
    from++;
    to--;
  }
  for (let at = from; at < to; at++) {
    const c = load<u8>(at);
    if (c == BACKSLASH || c == QUOTE) return false;
  }
  into.ptr = from;
  into.bytes = to - from;
  return into.bytes > 0;
}
