import {
  arenaAlloc,
  CAS_MISMATCH,
  found,
  literal,
  NOT_FOUND,
  OK,
  readShared,
  resetArena,
  textBytes,
  textPtr,
  writeShared,
} from "../sdk";
import { MAX_TRIES, NUMBERED_KEY, numberedKey, SERIES } from "../shared-table";
import { countBeyond } from "./beyond";
import { BUCKETS, clearHistogram, countAt, hasValues, MIN_BUCKET, zerosOf } from "./histogram";
import {
  BEYOND,
  Cell,
  COUNTERS,
  counterAt,
  FIRST_COUNTERS,
  firstCell,
  HISTOGRAMS,
  histogramAt,
  MAX_CELLS,
  namesBytes,
  namesOf,
  UNPLACED,
} from "./series";

// The proxy's cells in shared data. "weir.cells" is the list of fingerprints in
// order of arrival; "weir.m" and the place hold the cell itself:
//
//   u32 bytes of route | of variant | of tier or tenant | 1 for a tenant's | names, padded to 8
//   u64 x FIRST_COUNTERS
//   HISTOGRAMS x (u64 zeros | i32 first bucket | u32 buckets | u64 x buckets)
//   u64 x the other counters, which came later
//
// Workers add to them by compare-and-set. What fails stays with the worker for
// its next tick, so that nothing is lost but what a worker counted in the last
// second of its life.
const HEADER: usize = 16;

const listKey = literal("weir.cells");

/** Adds what this worker counted to the proxy's cells; call it on each tick. */
export function mergeCells(): void {
  for (let at = firstCell(); at != 0; at = changetype<Cell>(at).nextOfAll) {
    const cell = changetype<Cell>(at);
    if (!cell.changed) continue;
    if (placed(cell) ? !merged(cell) : cell.place != BEYOND) continue;
    if (cell.place == BEYOND) countBeyond(cell);
    clear(cell);
  }
}

/** Number of cells the proxy has. */
export function sharedCellCount(): i32 {
  return readShared(textPtr(listKey), textBytes(listKey)) == OK ? <i32>(found.bytes >> 3) : 0;
}

/** Reads the cell in a place, for ./report; 0 when it is not there. */
export function readSharedCell(place: i32): usize {
  return readShared(numberedKey(SERIES, <u16>place), NUMBERED_KEY) == OK && found.bytes >= HEADER
    ? found.ptr
    : 0;
}

/** Finds the cell's place in the list, or takes the next one. */
function placed(cell: Cell): bool {
  for (let i = 0; cell.place == UNPLACED && i < MAX_TRIES; i++) {
    resetArena();
    const status = readShared(textPtr(listKey), textBytes(listKey));
    if (status != OK && status != NOT_FOUND) return false;
    const count = found.bytes >> 3;
    for (let place: usize = 0; place < count; place++)
      if (load<u64>(found.ptr + (place << 3)) == cell.fingerprint) {
        cell.place = <i32>place;
        return true;
      }
    if (count >= <usize>MAX_CELLS) {
      cell.place = BEYOND;
      return false;
    }
    const longer = arenaAlloc((count + 1) << 3);
    if (longer == 0) return false;
    memory.copy(longer, found.ptr, count << 3);
    store<u64>(longer + (count << 3), cell.fingerprint);
    const written = writeShared(textPtr(listKey), textBytes(listKey), longer, (count + 1) << 3);
    if (written == OK) cell.place = <i32>count;
    else if (written != CAS_MISMATCH) return false;
  }
  return cell.place >= 0;
}

function merged(cell: Cell): bool {
  for (let i = 0; i < MAX_TRIES; i++) {
    resetArena();
    const before = readSharedCell(cell.place);
    const bytes: usize = before == 0 ? 0 : found.bytes;
    const sum = arenaAlloc(bytes + maxBytes(cell));
    if (sum == 0) return false;
    const size = add(cell, before, before + bytes, sum);
    const status = writeShared(numberedKey(SERIES, <u16>cell.place), NUMBERED_KEY, sum, size);
    if (status == OK) return true;
    if (status != CAS_MISMATCH) return false;
  }
  return false;
}

function paddedNames(cell: Cell): usize {
  return (namesBytes(cell) + 7) & ~7;
}

function maxBytes(cell: Cell): usize {
  return (
    HEADER +
    paddedNames(cell) +
    ((<usize>COUNTERS) << 3) +
    <usize>HISTOGRAMS * (16 + ((<usize>BUCKETS) << 3))
  );
}

/** Writes the sum of what was there and what the cell counted; returns its size. */
function add(cell: Cell, before: usize, end: usize, sum: usize): usize {
  store<u32>(sum, cell.routeBytes);
  store<u32>(sum, cell.variantBytes, 4);
  store<u32>(sum, cell.lastBytes, 8);
  store<u32>(sum, cell.ofTenant, 12);
  let to = sum + HEADER;
  memory.fill(to, 0, paddedNames(cell));
  memory.copy(to, namesOf(cell), namesBytes(cell));
  to += paddedNames(cell);
  let from = before == 0 ? end : before + HEADER + paddedNames(cell);
  to = addCounters(cell, 0, FIRST_COUNTERS, from, end, to);
  from += (<usize>FIRST_COUNTERS) << 3;
  for (let i = 0; i < HISTOGRAMS; i++) {
    const had = from + 16 <= end ? from : 0;
    const hadBuckets: usize = had == 0 ? 0 : <usize>load<u32>(had, 12);
    to = addHistogram(load<usize>(histogramAt(cell, i)), had, to);
    from += 16 + (hadBuckets << 3);
  }
  return addCounters(cell, FIRST_COUNTERS, COUNTERS, from, end, to) - sum;
}

function addCounters(cell: Cell, first: i32, last: i32, had: usize, end: usize, to: usize): usize {
  let from = had;
  let at = to;
  for (let i = first; i < last; i++) {
    const before = from + 8 <= end ? load<u64>(from) : 0;
    store<u64>(at, before + <u64>load<u32>(counterAt(cell, i)));
    from += 8;
    at += 8;
  }
  return at;
}

function addHistogram(own: usize, had: usize, to: usize): usize {
  const hadFirst = had == 0 ? 0 : load<i32>(had, 8);
  const hadCount = had == 0 ? 0 : <i32>load<u32>(had, 12);
  let first = hadCount > 0 ? hadFirst : i32.MAX_VALUE;
  let last = hadCount > 0 ? hadFirst + hadCount - 1 : i32.MIN_VALUE;
  const any = own != 0 && hasValues(own);
  if (any) {
    for (let i = 0; i < BUCKETS; i++) {
      if (countAt(own, i) == 0) continue;
      first = min(first, MIN_BUCKET + i);
      last = max(last, MIN_BUCKET + i);
    }
  }
  const buckets = last < first ? 0 : last - first + 1;
  store<u64>(to, (had == 0 ? 0 : load<u64>(had)) + (any ? <u64>zerosOf(own) : 0));
  store<i32>(to, buckets == 0 ? 0 : first, 8);
  store<u32>(to, <u32>buckets, 12);
  for (let i = 0; i < buckets; i++) {
    const bucket = first + i;
    let total: u64 = any ? countAt(own, bucket - MIN_BUCKET) : 0;
    if (bucket >= hadFirst && bucket < hadFirst + hadCount)
      total += load<u64>(had + 16 + ((<usize>(bucket - hadFirst)) << 3));
    store<u64>(to + 16 + ((<usize>i) << 3), total);
  }
  return to + 16 + ((<usize>buckets) << 3);
}

function clear(cell: Cell): void {
  for (let i = 0; i < COUNTERS; i++) store<u32>(counterAt(cell, i), 0);
  for (let i = 0; i < HISTOGRAMS; i++) {
    const histogram = load<usize>(histogramAt(cell, i));
    if (histogram != 0 && hasValues(histogram)) clearHistogram(histogram);
  }
  cell.changed = false;
}
