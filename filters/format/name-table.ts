import { addTo, isText, openTable, Region, Table, Text, textBytes, textPtr, valueIn } from "../sdk";
import { xxh64 } from "./xxh64";

/** Names with a value each, found in constant time; lives as long as its region. */
@unmanaged
export class NameTable {
  list: usize;
  count: usize;
  byName: Table;
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

/** Builds the index over all names added. */
export function indexNames(table: NameTable, region: Region): void {
  table.byName = openTable(region);
  for (let entry = table.list; entry != 0; entry = load<usize>(entry)) {
    const name = load<usize>(entry, 4);
    addTo(table.byName, xxh64(textPtr(name), textBytes(name), 0), entry);
  }
}

/** The value of a name, or 0. */
export function valueOfName(table: NameTable, ptr: usize, bytes: usize): usize {
  const entry = valueIn(table.byName, xxh64(ptr, bytes, 0));
  // Names are of the client's making, and so are their hashes.
  return entry != 0 && isText(load<usize>(entry, 4), ptr, bytes) ? load<usize>(entry, 8) : 0;
}
