import { COLON, DOT, NINE, STAR, ZERO } from "../format/ascii-codes";
import { xxh64 } from "../format/xxh64";
import {
  addTo,
  EXTENDED,
  isText,
  openTable,
  sameBytes,
  Text,
  textBytes,
  textPtr,
  valueIn,
} from "../sdk";
import { Document, Host, Route } from "./document";

// Hosts are looked up by hash: exact names under one seed, the suffix of
// "*.example.com" (".example.com") under another.
const EXACT: u64 = 0;
const SUFFIX: u64 = 1;
const MAX_HOST_BYTES: usize = 255;

const lowered: usize = memory.data(<i32>MAX_HOST_BYTES + 1, 8);

/** Notes a host of a route. */
export function addHost(route: Route, host: Text): void {
  const added = changetype<Host>(route.document.region.alloc(offsetof<Host>()));
  added.next = route.hosts;
  added.text = host;
  added.route = route;
  route.hosts = changetype<usize>(added);
}

/** Builds the table; false when two routes claim one host in a module that cannot tell them apart. */
export function indexHosts(document: Document): bool {
  document.hosts = openTable(document.region);
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next) {
    let host = changetype<Route>(at).hosts;
    for (; host != 0; host = changetype<Host>(host).next)
      if (!insert(document, changetype<Host>(host))) return false;
  }
  return true;
}

function insert(document: Document, host: Host): bool {
  const text = host.text;
  const ptr = textPtr(text);
  const bytes = textBytes(text);
  const isStar = load<u8>(ptr) == STAR;
  if (isStar && bytes == 1) {
    const other = document.anyHost;
    if (other !== null) return join(host, other);
    document.anyHost = host;
    return true;
  }
  const seed = isStar && bytes > 2 ? SUFFIX : EXACT;
  const hash = xxh64(ptr + <usize>seed, bytes - <usize>seed, seed);
  const other = valueIn(document.hosts, hash);
  if (other != 0) return join(host, changetype<Host>(other));
  addTo(document.hosts, hash, changetype<usize>(host));
  return true;
}

/** Lets a route share the host of another. */
function join(host: Host, other: Host): bool {
  if (!EXTENDED || !sameText(host.text, other.text)) return false;
  host.other = other.other;
  other.other = host;
  return host.route !== other.route;
}

function sameText(a: Text, b: Text): bool {
  return isText(a, textPtr(b), textBytes(b));
}

function find(document: Document, ptr: usize, bytes: usize, seed: u64): Host | null {
  const at = valueIn(document.hosts, xxh64(ptr, bytes, seed));
  if (at == 0) return null;
  const host = changetype<Host>(at);
  // A suffix's text has one byte more in front: the "*".
  const text = host.text;
  const before = <usize>seed;
  const found = textBytes(text) == bytes + before && sameBytes(textPtr(text) + before, ptr, bytes);
  return found ? host : null;
}

/** The host that an :authority value means: the exact one, else its longest wildcard, else "*"; null when there is none. */
export function hostOf(document: Document, ptr: usize, bytes: usize): Host | null {
  // A dot at the end is Envoy's to remove, before any filter: what it leaves, it does not match either.
  const length = withoutPort(ptr, bytes);
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
