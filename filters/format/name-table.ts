import { isText, Region, Text, textBytes, textPtr } from "../sdk";
import { xxh64 } from "./xxh64";

/** Names with a value each, found in constant time; lives as long as its region. */
@unmanaged
export class NameTable {
  list: usize;
  count: usize;
  slots: usize;
  mask: usize;
}

/** next | name | value */
const ENTRY: usize = 12;

export function openNameTable(region: Region): NameTable {
  return changetype<NameTable>(region.alloc(offsetof<NameTable>()));
}

/** Adds a name; call indexNames when all are there. */
export function putName(table: NameTable, name: Text, value: usize, region: Region): void {
  const entry = region.alloc(ENTRY);
  store<usize>(entry, table.list);
  store<usize>(entry, name, 4);
  store<usize>(entry, value, 8);
  table.list = entry;
  table.count++;
}

/** The entry after another, or the first after 0; 0 at the end. */
export function nextEntry(table: NameTable, entry: usize): usize {
  return entry == 0 ? table.list : load<usize>(entry);
}
export function valueOfEntry(entry: usize): usize {
  return load<usize>(entry, 8);
}
export function setValueOfEntry(entry: usize, value: usize): void {
  store<usize>(entry, value, 8);
}

/** Builds the index over all names added; at most half of its slots are taken. */
export function indexNames(table: NameTable, region: Region): void {
  let size: usize = 8;
  while (size < table.count << 1) size <<= 1;
  table.slots = region.alloc(size << 2);
  table.mask = size - 1;
  for (let entry = table.list; entry != 0; entry = load<usize>(entry)) {
    const name = load<usize>(entry, 4);
    let slot = slotOf(table, textPtr(name), textBytes(name));
    while (load<usize>(table.slots + (slot << 2)) != 0) slot = (slot + 1) & table.mask;
    store<usize>(table.slots + (slot << 2), entry);
  }
}

function slotOf(table: NameTable, ptr: usize, bytes: usize): usize {
  return <usize>(xxh64(ptr, bytes, 0) >> 32) & table.mask;
}

/** The value of a name, or 0. */
export function valueOfName(table: NameTable, ptr: usize, bytes: usize): usize {
  let slot = slotOf(table, ptr, bytes);
  while (true) {
    const entry = load<usize>(table.slots + (slot << 2));
    if (entry == 0) return 0;
    if (isText(load<usize>(entry, 4), ptr, bytes)) return load<usize>(entry, 8);
    slot = (slot + 1) & table.mask;
  }
}
