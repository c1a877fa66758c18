import { COLON, DOT, NINE, STAR, ZERO } from "../format/ascii-codes";
import { xxh64 } from "../format/xxh64";
import { addTo, openTable, sameBytes, Text, textBytes, textPtr, valueIn } from "../sdk";
import { Document, Route } from "./document";

// Hosts are looked up by hash: exact names under one seed, the suffix of
// "*.example.com" (".example.com") under another.
const EXACT: u64 = 0;
const SUFFIX: u64 = 1;
const MAX_HOST_BYTES: usize = 255;

/** What is known of a host: next | text | route. */
const HOST: usize = 12;

const lowered: usize = memory.data(<i32>MAX_HOST_BYTES + 1, 8);

/** Notes a host of a route. */
export function addHost(route: Route, host: Text): void {
  const at = route.document.region.alloc(HOST);
  store<usize>(at, route.hosts);
  store<usize>(at, host, 4);
  route.hosts = at;
}

/** Builds the table; false when two routes claim one host. */
export function indexHosts(document: Document): bool {
  document.hosts = openTable(document.region);
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    for (let host = route.hosts; host != 0; host = load<usize>(host))
      if (!insert(document, host, route)) return false;
  }
  return true;
}

function insert(document: Document, host: usize, route: Route): bool {
  const text: Text = load<usize>(host, 4);
  const ptr = textPtr(text);
  const bytes = textBytes(text);
  const isStar = load<u8>(ptr) == STAR;
  if (isStar && bytes == 1) {
    if (document.anyHost !== null) return false;
    document.anyHost = route;
    return true;
  }
  const seed = isStar && bytes > 2 ? SUFFIX : EXACT;
  const hash = xxh64(ptr + <usize>seed, bytes - <usize>seed, seed);
  if (valueIn(document.hosts, hash) != 0) return false;
  store<usize>(host, changetype<usize>(route), 8);
  addTo(document.hosts, hash, host);
  return true;
}

function find(document: Document, ptr: usize, bytes: usize, seed: u64): Route | null {
  const host = valueIn(document.hosts, xxh64(ptr, bytes, seed));
  if (host == 0) return null;
  // A suffix's text has one byte more in front: the "*".
  const text: Text = load<usize>(host, 4);
  const before = <usize>seed;
  const found = textBytes(text) == bytes + before && sameBytes(textPtr(text) + before, ptr, bytes);
  return found ? changetype<Route>(load<usize>(host, 8)) : null;
}

/** Route of an :authority value: the exact host, else its longest wildcard, else "*"; null when there is none. */
export function routeOfHost(document: Document, ptr: usize, bytes: usize): Route | null {
  let length = withoutPort(ptr, bytes);
  // The same name, written to its root (RFC 1034, section 3.1).
  if (length > 1 && load<u8>(ptr + length - 1) == DOT) length--;
  if (length == 0 || length > MAX_HOST_BYTES) return document.anyHost;
  for (let i: usize = 0; i < length; i++) {
    const c = load<u8>(ptr + i);
    store<u8>(lowered + i, c >= 0x41 && c <= 0x5a ? c | 0x20 : c);
  }
  const exact = find(document, lowered, length, EXACT);
  if (exact !== null) return exact;
  for (let i: usize = 1; i < length; i++) {
    if (load<u8>(lowered + i) != DOT) continue;
    const wildcard = find(document, lowered + i, length - i, SUFFIX);
    if (wildcard !== null) return wildcard;
  }
  return document.anyHost;
}

/** Length without ":port"; a colon inside an IPv6 literal's brackets is none. */
function withoutPort(ptr: usize, bytes: usize): usize {
  let at = bytes;
  while (at > 0) {
    const c = load<u8>(ptr + at - 1);
    if (c == COLON) return at - 1;
    if (c < ZERO || c > NINE) return bytes;
    at--;
  }
  return bytes;
}
