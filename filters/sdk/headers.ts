import {
  proxy_get_header_map_pairs,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
} from "./env";
import { arenaAlloc, outPtr, outSize, sameBytes } from "./memory";
import { OK } from "./status";
import { Text, tagOf, textBytes, textPtr, textTag } from "./text";

/** Header maps of the ABI. */
export const REQUEST_HEADERS: i32 = 0;
export const REQUEST_TRAILERS: i32 = 1;
export const RESPONSE_HEADERS: i32 = 2;
export const RESPONSE_TRAILERS: i32 = 3;

// One row per header of the last read: u32 tag | u32 key | u32 value | u32 value bytes.
// The rows and what they point to live in the arena, so until the callback ends.
const ROW: usize = 16;
let rows: usize = 0;
let rowCount: i32 = 0;

/**
 * Reads a whole header map with one host call; false when the host has none.
 * Pairs as the ABI lays them out: u32 count, count x (u32 key bytes, u32 value
 * bytes), then key NUL value NUL ... Sizes that do not fit the buffer end the table.
 */
export function readHeaders(map: i32): bool {
  rowCount = 0;
  store<u32>(outSize, 0);
  if (proxy_get_header_map_pairs(map, outPtr, outSize) != OK) return false;
  const ptr = <usize>load<u32>(outPtr);
  const bytes = <usize>load<u32>(outSize);
  if (bytes < 4) return bytes == 0;
  const count = <usize>load<u32>(ptr);
  if (count > (bytes - 4) >> 3) return false;
  rows = arenaAlloc(count * ROW);
  if (rows == 0) return false;
  const end = ptr + bytes;
  let size = ptr + 4;
  let data = size + (count << 3);
  for (let i: usize = 0; i < count; i++) {
    const keyBytes = <usize>load<u32>(size);
    const valueBytes = <usize>load<u32>(size, 4);
    size += 8;
    // Compared one by one: the sum of hostile sizes may wrap.
    const room = end - data;
    if (keyBytes >= room || valueBytes >= room || keyBytes + valueBytes + 2 > room) return false;
    const row = rows + i * ROW;
    store<u32>(row, tagOf(data, keyBytes));
    store<u32>(row, <u32>data, 4);
    store<u32>(row, <u32>(data + keyBytes + 1), 8);
    store<u32>(row, <u32>valueBytes, 12);
    data += keyBytes + valueBytes + 2;
    rowCount++;
  }
  return true;
}

/** Row of the next header of that name at or after `from`; -1 when there is none. */
export function findHeader(name: Text, from: i32 = 0): i32 {
  const tag = textTag(name);
  for (let i = from; i < rowCount; i++) {
    const row = rows + <usize>i * ROW;
    if (load<u32>(row) == tag && sameBytes(textPtr(name), load<u32>(row, 4), textBytes(name)))
      return i;
  }
  return -1;
}

export function valuePtr(row: i32): usize {
  return load<u32>(rows + <usize>row * ROW, 8);
}

export function valueBytes(row: i32): usize {
  return load<u32>(rows + <usize>row * ROW, 12);
}

/** Sets a header to one value, whatever was there: a repeated one is removed first. */
export function setHeader(map: i32, name: Text, ptr: usize, bytes: usize): void {
  const first = findHeader(name);
  if (first >= 0 && findHeader(name, first + 1) >= 0) removeHeader(map, name);
  proxy_replace_header_map_value(map, textPtr(name), textBytes(name), ptr, bytes);
}

/** Removes all values of a header. */
export function removeHeader(map: i32, name: Text): void {
  proxy_remove_header_map_value(map, textPtr(name), textBytes(name));
}
