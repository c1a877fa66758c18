import { xxh64 } from "../format/xxh64";
import { addTo, allocate, Table, Text, textBytes, textPtr, valueIn, writeSafe } from "../sdk";
import { countValue, createHistogram } from "./histogram";

// A cell is what is counted of one route, variant and tier, or, beside it and of
// fewer things, of one route, variant and tenant. Each worker counts
// for itself; on its tick it adds what it has to the proxy's own, which lies in
// shared data (./shared-cells). Nothing on a stream's way touches the host.

/** Counters of a cell, in the order of ./names. */
export const COUNTERS: i32 = 37;
/** So many of them stand before the distributions in shared data, where older versions look for these. */
export const FIRST_COUNTERS: i32 = 25;
/** Distributions of a cell, in the order of ./names. */
export const HISTOGRAMS: i32 = 6;
/** A proxy counts so many cells; what comes beyond shares one that is not reported, see ./beyond. */
export const MAX_CELLS: i32 = 1024;
/** From this many on there is no room for further tenants. */
const MAX_WITH_TENANTS: i32 = 768;

/** Places of a cell that has none yet, and of one for which the proxy has none left. */
export const UNPLACED: i32 = -1;
export const BEYOND: i32 = -2;

@unmanaged
export class Cell {
  nextOfAll: usize;
  fingerprint: u64;
  /** Place among the proxy's cells, or UNPLACED or BEYOND. */
  place: i32;
  changed: bool;
  routeBytes: u32;
  variantBytes: u32;
  /** Of the tier's name, or of the tenant's. */
  lastBytes: u32;
  /** 1: the last name is a tenant. */
  ofTenant: u32;
  // u32 x COUNTERS | pointers x HISTOGRAMS, 0 where nothing was counted | the three names.
}

const COUNTS: usize = offsetof<Cell>();
const POINTERS: usize = COUNTS + ((<usize>COUNTERS) << 2);
const NAMES: usize = POINTERS + ((<usize>HISTOGRAMS) << 2);

const cells = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));
let first: usize = 0;

/** The cell that came last; the others follow by nextOfAll. */
export function firstCell(): usize {
  return first;
}

/** The cell of a route, a variant and a tier (0 where unknown), or the one that all share who come beyond the bound; it lives as long as the VM. */
export function cellOf(route: Text, variant: Text, tier: Text): Cell {
  putName(ROUTE, route);
  putName(VARIANT, variant);
  putName(LAST, tier);
  let at = findCell(0, MAX_CELLS);
  if (at == 0) {
    // No route has no name.
    memory.fill(names, 0, 3 * SPAN);
    at = findCell(0, MAX_CELLS + 1);
    changetype<Cell>(at).place = BEYOND;
  }
  return changetype<Cell>(at);
}

/** The cell of a route, a variant and a tenant, whom the configuration has to name; null where there is no room. */
export function cellOfTenant(route: Text, variant: Text, tenant: usize, bytes: usize): Cell | null {
  putName(ROUTE, route);
  putName(VARIANT, variant);
  putBytes(LAST, tenant, bytes);
  return changetype<Cell | null>(findCell(1, MAX_WITH_TENANTS));
}

/** The cell of another variant that is the same in all else; null where there is no room. */
export function cellOfVariant(cell: Cell, variant: usize, bytes: usize): Cell | null {
  const from = namesOf(cell);
  const lastFrom = from + cell.routeBytes + cell.variantBytes;
  putBytes(ROUTE, from, cell.routeBytes);
  putBytes(VARIANT, variant, bytes);
  putBytes(LAST, cell.lastBytes == 0 ? 0 : lastFrom, cell.lastBytes);
  const max = cell.ofTenant == 0 ? MAX_CELLS : MAX_WITH_TENANTS;
  return changetype<Cell | null>(findCell(cell.ofTenant, max));
}

// The three names of the cell that is looked for: usize start, 0 for none | usize bytes.
const ROUTE: usize = 0;
const VARIANT: usize = 1;
const LAST: usize = 2;
const SPAN: usize = 8;
const names: usize = memory.data(24, 8);

function putName(which: usize, text: Text): void {
  if (text == 0) putBytes(which, 0, 0);
  else putBytes(which, textPtr(text), textBytes(text));
}
function putBytes(which: usize, from: usize, bytes: usize): void {
  store<usize>(names + which * SPAN, from);
  store<usize>(names + which * SPAN, bytes, 4);
}
function startOf(which: usize): usize {
  return load<usize>(names + which * SPAN);
}
function bytesOf(which: usize): usize {
  return load<usize>(names + which * SPAN, 4);
}

/** The cell of the names that were put, made where there are fewer than `most`; else 0. */
function findCell(ofTenant: u32, max: u32): usize {
  const seed = hash(VARIANT, hash(ROUTE, (<u64>ofTenant) << 32));
  const fingerprint = hash(LAST, seed);
  const known = valueIn(cells, fingerprint);
  if (known != 0 || cells.count >= max) return known;
  const at = allocate(NAMES + bytesOf(ROUTE) + bytesOf(VARIANT) + bytesOf(LAST));
  memory.fill(at, 0, NAMES);
  const cell = changetype<Cell>(at);
  cell.fingerprint = fingerprint;
  cell.place = UNPLACED;
  cell.routeBytes = <u32>bytesOf(ROUTE);
  cell.variantBytes = <u32>bytesOf(VARIANT);
  cell.lastBytes = <u32>bytesOf(LAST);
  cell.ofTenant = ofTenant;
  let to = at + NAMES;
  for (let which = ROUTE; which <= LAST; which++) {
    memory.copy(to, startOf(which), bytesOf(which));
    to += bytesOf(which);
  }
  cell.nextOfAll = first;
  first = at;
  addTo(cells, fingerprint, at);
  return at;
}

function hash(which: usize, seed: u64): u64 {
  const from = startOf(which);
  return from == 0 ? seed + 1 : xxh64(from, bytesOf(which), seed);
}

/** Adds to a counter of ./names. */
export function count(cell: Cell, counter: i32, by: u32 = 1): void {
  const at = counterAt(cell, counter);
  store<u32>(at, load<u32>(at) + by);
  cell.changed = true;
}

/** Adds a value to a distribution of ./names. */
export function observe(cell: Cell, histogram: i32, value: f64): void {
  const at = histogramAt(cell, histogram);
  if (load<usize>(at) == 0) store<usize>(at, createHistogram());
  countValue(load<usize>(at), value);
  cell.changed = true;
}

export function counterAt(cell: Cell, counter: i32): usize {
  return changetype<usize>(cell) + COUNTS + ((<usize>counter) << 2);
}
/** Where the pointer to a histogram stands. */
export function histogramAt(cell: Cell, histogram: i32): usize {
  return changetype<usize>(cell) + POINTERS + ((<usize>histogram) << 2);
}
/** The three names, side by side. */
export function namesOf(cell: Cell): usize {
  return changetype<usize>(cell) + NAMES;
}
/** Writes the name of its tier or tenant. */
export function writeLastName(cell: Cell): void {
  writeSafe(namesOf(cell) + cell.routeBytes + cell.variantBytes, cell.lastBytes);
}
export function namesBytes(cell: Cell): usize {
  return cell.routeBytes + cell.variantBytes + cell.lastBytes;
}
