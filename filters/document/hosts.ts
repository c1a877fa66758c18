import { xxh64 } from "../format/xxh64";
import { isText, Text, textBytes, textPtr } from "../sdk";
import { Document, Route } from "./document";

// Hosts are looked up in one open-addressing table per document: exact names
// under one seed, the suffix of "*.example.com" (".example.com") under another.
const EXACT: u64 = 1;
const SUFFIX: u64 = 2;
const MOST_HOST_BYTES: usize = 255;

/** u64 hash | host text | route */
const SLOT: usize = 16;

const lowered: usize = memory.data(256, 8);

/** Builds the table; false when two routes claim one host. */
export function indexHosts(document: Document, hostCount: usize): bool {
  let size: usize = 8;
  while (size < hostCount << 1) size <<= 1;
  document.hostSlots = document.region.alloc(size * SLOT);
  document.hostMask = size - 1;
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    for (let i: usize = 0; i < <usize>route.hostCount; i++)
      if (!insert(document, load<usize>(route.hosts + (i << 2)), at)) return false;
  }
  return true;
}

function insert(document: Document, host: Text, route: usize): bool {
  const ptr = textPtr(host);
  const bytes = textBytes(host);
  if (bytes == 1 && load<u8>(ptr) == 0x2a) {
    if (document.anyHost != 0) return false;
    document.anyHost = route;
    return true;
  }
  const hash = isWildcard(ptr, bytes)
    ? xxh64(ptr + 1, bytes - 1, SUFFIX)
    : xxh64(ptr, bytes, EXACT);
  let slot = <usize>hash & document.hostMask;
  while (true) {
    const entry = document.hostSlots + slot * SLOT;
    const there = load<usize>(entry, 8);
    if (there == 0) {
      store<u64>(entry, hash);
      store<usize>(entry, host, 8);
      store<usize>(entry, route, 12);
      return true;
    }
    if (load<u64>(entry) == hash && isText(there, ptr, bytes)) return false;
    slot = (slot + 1) & document.hostMask;
  }
}

function isWildcard(ptr: usize, bytes: usize): bool {
  return bytes > 2 && load<u8>(ptr) == 0x2a;
}

function find(document: Document, ptr: usize, bytes: usize, seed: u64): usize {
  const hash = xxh64(ptr, bytes, seed);
  let slot = <usize>hash & document.hostMask;
  while (true) {
    const entry = document.hostSlots + slot * SLOT;
    const host = load<usize>(entry, 8);
    if (host == 0) return 0;
    if (load<u64>(entry) == hash) {
      const wildcard = isWildcard(textPtr(host), textBytes(host));
      if (seed == EXACT && !wildcard && isText(host, ptr, bytes)) return load<usize>(entry, 12);
      // The stored text has one byte more in front: the "*".
      if (seed == SUFFIX && wildcard && textBytes(host) == bytes + 1) return load<usize>(entry, 12);
    }
    slot = (slot + 1) & document.hostMask;
  }
}

/** Route of an :authority value: the exact host, else its longest wildcard, else "*"; 0 when there is none. */
export function routeOfHost(document: Document, ptr: usize, bytes: usize): usize {
  const length = withoutPort(ptr, bytes);
  if (length == 0 || length > MOST_HOST_BYTES) return document.anyHost;
  for (let i: usize = 0; i < length; i++) {
    const c = load<u8>(ptr + i);
    store<u8>(lowered + i, c >= 0x41 && c <= 0x5a ? c | 0x20 : c);
  }
  const exact = find(document, lowered, length, EXACT);
  if (exact != 0) return exact;
  for (let i: usize = 1; i < length; i++) {
    if (load<u8>(lowered + i) != 0x2e) continue;
    const wildcard = find(document, lowered + i, length - i, SUFFIX);
    if (wildcard != 0) return wildcard;
  }
  return document.anyHost;
}

/** Length without ":port"; a colon inside an IPv6 literal's brackets is none. */
function withoutPort(ptr: usize, bytes: usize): usize {
  let at = bytes;
  while (at > 0) {
    const c = load<u8>(ptr + at - 1);
    if (c == 0x3a) return at - 1;
    if (c < 0x30 || c > 0x39) return bytes;
    at--;
  }
  return bytes;
}
