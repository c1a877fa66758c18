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

/** Trailers of the request. */
export const REQUEST_TRAILERS: i32 = 1;

/** Headers of the answer. */
export const RESPONSE_HEADERS: i32 = 2;

/** Trailers of the answer. */
export const RESPONSE_TRAILERS: i32 = 3;

/**
 * A header of the last read, 0 where there is none:
 * u32 tag | u32 key | u32 value | u32 value bytes | u32 next row of the same slot.
 * Rows and what they point to live in the arena, so until the callback ends.
 */
export type HeaderRow = usize;
const ROW: usize = 20;
let rows: usize = 0;
let rowsEnd: usize = 0;

// The first row of each slot; 0 where there is none. Most headers that are asked
// for are absent, and so cost no search.
const SLOTS: usize = 64;
const slots: usize = memory.data((<i32>SLOTS) << 2, 8);

function slotOf(tag: u32): usize {
  return slots + (((tag * 0x9e3779b1) >> 26) << 2);
}

/**
 * Reads a whole header map with one host call; false when the host has none.
 * Pairs as the ABI lays them out: u32 count, count x (u32 key bytes, u32 value
 * bytes), then key NUL value NUL ... Sizes that do not fit the buffer end the table.
 */
export function readHeaders(map: i32): bool {
  rows = 0;
  rowsEnd = 0;
  const isRead = readRows(map);
  memory.fill(slots, 0, SLOTS << 2);
  // From the last, so that each slot's first row comes first.
  for (let row = rowsEnd; row > rows; ) {
    row -= ROW;
    const slot = slotOf(load<u32>(row));
    store<u32>(row, load<u32>(slot), 16);
    store<u32>(slot, <u32>row);
  }
  return isRead;
}

function readRows(map: i32): bool {
  store<u32>(outSize, 0);
  if (proxy_get_header_map_pairs(map, outPtr, outSize) != OK) return false;
  const ptr = <usize>load<u32>(outPtr);
  const bytes = <usize>load<u32>(outSize);
  if (bytes < 4) return bytes == 0;
  const count = <usize>load<u32>(ptr);
  if (count > (bytes - 4) >> 3) return false;
  rows = arenaAlloc(count * ROW);
  rowsEnd = rows;
  if (rows == 0) return false;
  const end = ptr + bytes;
  let size = ptr + 4;
  let data = size + (count << 3);
  for (const last = rows + count * ROW; rowsEnd < last; rowsEnd += ROW) {
    const keyBytes = <usize>load<u32>(size);
    const valueBytes = <usize>load<u32>(size, 4);
    size += 8;
    // Compared one by one: the sum of hostile sizes may wrap.
    const room = end - data;
    if (keyBytes >= room || valueBytes >= room || keyBytes + valueBytes + 2 > room) return false;
    store<u32>(rowsEnd, tagOf(data, keyBytes));
    store<u32>(rowsEnd, <u32>data, 4);
    store<u32>(rowsEnd, <u32>(data + keyBytes + 1), 8);
    store<u32>(rowsEnd, <u32>valueBytes, 12);
    data += keyBytes + valueBytes + 2;
  }
  return true;
}

/** The first header of that name; 0 when there is none. */
export function findHeader(name: Text): HeaderRow {
  return search(name, load<u32>(slotOf(textTag(name))));
}

/** The next header of the same name behind `row`; 0 when there is none. */
export function nextHeader(name: Text, row: HeaderRow): HeaderRow {
  return search(name, load<u32>(row, 16));
}

/** Whether there is a header of that name, also an empty one. */
export function hasHeader(name: Text): bool {
  return findHeader(name) != 0;
}

function search(name: Text, from: HeaderRow): HeaderRow {
  const tag = textTag(name);
  for (let row = from; row != 0; row = load<u32>(row, 16))
    if (load<u32>(row) == tag && sameBytes(textPtr(name), load<u32>(row, 4), textBytes(name)))
      return row;
  return 0;
}

/** Where the value of a header stands, until the callback ends. */
export function valuePtr(row: HeaderRow): usize {
  return load<u32>(row, 8);
}

/** Length of the value of a header, in bytes. */
export function valueBytes(row: HeaderRow): usize {
  return load<u32>(row, 12);
}

/** Sets a header to one value, whatever was there: a repeated one is removed first. */
export function setHeader(map: i32, name: Text, ptr: usize, bytes: usize): void {
  const first = findHeader(name);
  if (first != 0 && nextHeader(name, first) != 0) removeHeader(map, name);
  proxy_replace_header_map_value(map, textPtr(name), textBytes(name), ptr, bytes);
}

/** Removes all values of a header. */
export function removeHeader(map: i32, name: Text): void {
  proxy_remove_header_map_value(map, textPtr(name), textBytes(name));
}
