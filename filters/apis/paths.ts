import {
  HASH,
  NINE,
  PERCENT,
  QUESTION_MARK,
  SEMICOLON,
  SLASH,
  SPACE,
  ZERO,
} from "../format/ascii-codes";
import { Ascii, arenaAlloc, sameBytes } from "../sdk";
import { Api } from "./api";
import { addName, findName, meaningOf, openTable } from "./table";

/** The APIs by the last one or two segments of their paths, by the last letter. */
const paths: usize = openTable();
const LONGEST: usize = 32;

/** Makes paths lead to an API. */
export function addPaths(api: Api, list: Ascii): void {
  const end = list.ptr + <usize>list.length;
  let from = list.ptr;
  for (let at = from; at <= end; at++) {
    if (at < end && load<u8>(at) != SPACE) continue;
    addName(paths, slotOf(at), from, at - from, <u32>changetype<usize>(api));
    from = at + 1;
  }
}

function slotOf(end: usize): u32 {
  return load<u8>(end - 1) & 15;
}

/** The path that came last, which is often the next one, and where it led to. */
const MAX_KNOWN: usize = 64;
const known: usize = memory.data(<i32>MAX_KNOWN, 8);
let knownBytes: usize = 0;
let knownApi: Api | null = null;

/** The API that a path leads to, as servers read it: up to its query, escapes resolved. */
export function apiOf(path: usize, bytes: usize): Api | null {
  if (bytes == knownBytes && sameBytes(known, path, bytes)) return knownApi;
  const api = changetype<Api | null>(readPath(path, bytes));
  if (bytes <= MAX_KNOWN) {
    memory.copy(known, path, bytes);
    knownBytes = bytes;
    knownApi = api;
  }
  return api;
}

function readPath(path: usize, bytes: usize): usize {
  const text = arenaAlloc(bytes + LONGEST);
  if (text == 0) return 0;
  let end = decode(path, path + bytes, text);
  while (end > text && load<u8>(end - 1) == SLASH) end--;
  const last = segmentBefore(text, end);
  if (last == end) return 0;
  const two = last > text + 1 ? find(segmentBefore(text, last - 1), end) : 0;
  return two == 0 ? find(last, end) : two;
}

/** Where the segment that ends at `end` begins. */
function segmentBefore(text: usize, end: usize): usize {
  let at = end;
  while (at > text && load<u8>(at - 1) != SLASH) at--;
  return at;
}

/** What a name between these places leads to; what stands behind it is overwritten. */
function find(from: usize, end: usize): usize {
  const bytes = end - from;
  if (bytes > LONGEST) return 0;
  memory.fill(end, 0, LONGEST - bytes);
  const entry = findName(paths, slotOf(end), from, <u32>bytes);
  return entry == 0 ? 0 : meaningOf(entry);
}

/** Writes the path without its query, parameters and repeated slashes; returns its end. */
function decode(path: usize, end: usize, text: usize): usize {
  let out = text;
  for (let at = path; at < end; at++) {
    let byte = load<u8>(at);
    if (byte == QUESTION_MARK || byte == HASH || byte == SEMICOLON) break;
    if (byte == PERCENT && at + 2 < end) {
      const value = (digitOf(load<u8>(at, 1)) << 4) | digitOf(load<u8>(at, 2));
      if (value < 256) {
        byte = <u8>value;
        at += 2;
      }
    }
    if (byte == SLASH && out > text && load<u8>(out - 1) == SLASH) continue;
    store<u8>(out++, byte);
  }
  return out;
}

/** A digit of base 16; beyond every byte where it is none. */
function digitOf(byte: u8): u32 {
  if (byte >= ZERO && byte <= NINE) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : 256;
}
