import { allocate, release } from "./heap";
import { Region } from "./region";

/**
 * Values by keys of 64 bits, found in one or two probes however many there are:
 * open addressing, doubled when half of it is taken. A value is a pointer or a
 * number, and never 0. Memory of zeros is an empty table that lives with the VM.
 */
@unmanaged
export class Table {
  slots: usize;
  mask: u32;
  count: u32;
  /** Where its memory is from, or 0: the heap. */
  region: usize;
}

/** A table that goes with its region. */
export function openTable(region: Region): Table {
  const table = changetype<Table>(region.alloc(offsetof<Table>()));
  table.region = changetype<usize>(region);
  return table;
}

/** u64 key | u32 value | u32 unused */
const SLOT: usize = 16;
const SMALLEST: u32 = 8;

function slotAt(table: Table, index: u32): usize {
  return table.slots + <usize>(index & table.mask) * SLOT;
}

/** Keys may count up; multiplied by the golden ratio they spread over the table. */
function home(key: u64): u32 {
  return (<u32>key * 0x9e3779b1) >> 8;
}

/** Index of the key's slot, or of the free one where it would be. */
function indexOf(table: Table, key: u64): u32 {
  let index = home(key);
  while (load<u32>(slotAt(table, index), 8) != 0 && load<u64>(slotAt(table, index)) != key) index++;
  return index;
}

/** The value of a key, or 0. */
export function valueIn(table: Table, key: u64): usize {
  if (table.count == 0) return 0;
  let index = home(key);
  while (true) {
    const slot = slotAt(table, index);
    const value = load<u32>(slot, 8);
    if (value == 0 || load<u64>(slot) == key) return value;
    index++;
  }
}

/** Adds a key that is not there. */
export function addTo(table: Table, key: u64, value: usize): void {
  if (table.count << 1 >= table.mask) grow(table);
  const slot = slotAt(table, indexOf(table, key));
  store<u64>(slot, key);
  store<u32>(slot, <u32>value, 8);
  table.count++;
}

/** Drops a key that is there, and moves up those behind it that would no longer be found. */
export function dropFrom(table: Table, key: u64): void {
  table.count--;
  let hole = indexOf(table, key);
  for (let at = hole + 1; load<u32>(slotAt(table, at), 8) != 0; at++) {
    // Whether the hole lies between where it wants to be and where it is.
    const wanted = home(load<u64>(slotAt(table, at)));
    if (((at - wanted) & table.mask) < ((at - hole) & table.mask)) continue;
    memory.copy(slotAt(table, hole), slotAt(table, at), SLOT);
    hole = at;
  }
  store<u32>(slotAt(table, hole), 0, 8);
}

/** Calls back with each value; the table must not change meanwhile. */
export function eachIn(table: Table, visit: (value: usize) => void): void {
  if (table.count == 0) return;
  for (let index: u32 = 0; index <= table.mask; index++) {
    const value = load<u32>(slotAt(table, index), 8);
    if (value != 0) visit(value);
  }
}

/** Makes a table of the heap empty and gives its memory back. */
export function clearTable(table: Table): void {
  if (table.slots != 0) release(table.slots);
  memory.fill(changetype<usize>(table), 0, offsetof<Table>());
}

function grow(table: Table): void {
  const before = table.slots;
  const end: usize = before == 0 ? 0 : before + <usize>(table.mask + 1) * SLOT;
  const size = max((table.mask + 1) << 1, SMALLEST);
  const bytes = <usize>size * SLOT;
  const region = table.region;
  table.slots = region == 0 ? allocate(bytes) : changetype<Region>(region).alloc(bytes);
  memory.fill(table.slots, 0, bytes);
  table.mask = size - 1;
  for (let from = before; from < end; from += SLOT)
    if (load<u32>(from, 8) != 0)
      memory.copy(slotAt(table, indexOf(table, load<u64>(from))), from, SLOT);
  if (before != 0 && region == 0) release(before);
}
