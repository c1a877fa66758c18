import { CLOSE_BRACE, CLOSE_BRACKET, COMMA, HYPHEN, QUOTE } from "../format/ascii-codes";
import { found, resetArena, write, writeByte, writeSafe, writeUint, writtenBytes } from "../sdk";
import { writeCounterLabel, writeCounterName, writeHistogramName } from "./names";
import { COUNTERS, FIRST_COUNTERS, HISTOGRAMS } from "./series";
import { readSharedCell, sharedCellCount } from "./shared-cells";

/**
 * Bytes of a report after which no counter and no distribution of another cell
 * is begun; a proxy with more tells them by turns. A cell has at most 20 KB of
 * counters and 86 KB of distributions, so that a report always has room for both.
 */
const COUNTERS_END: usize = 80_000;
const HISTOGRAMS_END: usize = 170_000;
const HEADER: usize = 16;

/** Cells of tenants beyond so many in all are told by turns. */
const AT_ONCE: i32 = 32;

/** Where the next report goes on: i32 place | u32 number of the walk over all places. */
const counterTurn: usize = memory.data(8, 8);
const histogramTurn: usize = memory.data(8, 8);

function isDue(cell: usize, place: i32, cells: i32, walk: u32): bool {
  if (load<u32>(cell, 12) == 0) return true;
  const walks = <u32>((cells + AT_ONCE - 1) / AT_ONCE);
  return <u32>place % walks == walk % walks;
}

/** Writes the counters of the cells whose turn it is, a comma first where one came before. */
export function writeCellCounters(before: bool): void {
  writeCells(counterTurn, COUNTERS_END, before);
}

/** Writes the distributions of the cells whose turn it is. */
export function writeCellHistograms(): void {
  write(',"histograms":[');
  writeCells(histogramTurn, HISTOGRAMS_END, false);
  writeByte(CLOSE_BRACKET);
}

function writeCells(turn: usize, end: usize, before: bool): void {
  let any = before;
  const cells = sharedCellCount();
  let place = load<i32>(turn);
  for (; place < cells && writtenBytes() < end; place++) {
    resetArena();
    const cell = readSharedCell(place);
    if (cell == 0 || !isDue(cell, place, cells, load<u32>(turn, 4))) continue;
    any = turn == counterTurn ? writeCounters(cell, any) : writeHistograms(cell, any);
  }
  if (place >= cells) {
    place = 0;
    store<u32>(turn, load<u32>(turn, 4) + 1, 4);
  }
  store<i32>(turn, place);
}

function writeCounters(cell: usize, before: bool): bool {
  let any = before;
  const end = cell + found.bytes;
  let at = cell + HEADER + namesRoom(cell);
  for (let i = 0; i < COUNTERS && at + 8 <= end; i++) {
    if (i == FIRST_COUNTERS) at = histogramsEnd(at, end);
    if (at + 8 > end) break;
    const total = load<u64>(at);
    at += 8;
    if (total == 0) continue;
    write(any ? ',{"name":"' : '{"name":"');
    any = true;
    writeCounterName(i);
    write('","label":"');
    writeCounterLabel(i);
    write('","value":"');
    writeUint(total);
    writeByte(QUOTE);
    writeNames(cell);
    writeByte(CLOSE_BRACE);
  }
  return any;
}

/** Where the distributions that begin at `at` are behind. */
function histogramsEnd(at: usize, end: usize): usize {
  for (let i = 0; i < HISTOGRAMS && at + 16 <= end; i++)
    at += 16 + ((<usize>load<u32>(at, 12)) << 3);
  return at;
}

function writeHistograms(cell: usize, before: bool): bool {
  let any = before;
  const end = cell + found.bytes;
  let at = cell + HEADER + namesRoom(cell) + ((<usize>FIRST_COUNTERS) << 3);
  for (let i = 0; i < HISTOGRAMS && at + 16 <= end; i++) {
    const zeros = load<u64>(at);
    const first = load<i32>(at, 8);
    const buckets = <i32>load<u32>(at, 12);
    const counts = at + 16;
    at = counts + ((<usize>buckets) << 3);
    if (at > end || (zeros == 0 && buckets == 0)) continue;
    write(any ? ',{"name":"' : '{"name":"');
    any = true;
    writeHistogramName(i);
    writeByte(QUOTE);
    writeNames(cell);
    write(',"zeros":"');
    writeUint(zeros);
    write('","index":[');
    writeIndexes(counts, first, buckets);
    write('],"count":[');
    writeCounts(counts, buckets);
    write("]}");
  }
  return any;
}

function writeIndexes(counts: usize, first: i32, buckets: i32): void {
  let any = false;
  for (let i = 0; i < buckets; i++) {
    if (load<u64>(counts + ((<usize>i) << 3)) == 0) continue;
    if (any) writeByte(COMMA);
    any = true;
    const bucket = first + i;
    if (bucket < 0) writeByte(HYPHEN);
    writeUint(<u64>abs(bucket));
  }
}

function writeCounts(counts: usize, buckets: i32): void {
  let any = false;
  for (let i = 0; i < buckets; i++) {
    const count = load<u64>(counts + ((<usize>i) << 3));
    if (count == 0) continue;
    write(any ? ',"' : '"');
    any = true;
    writeUint(count);
    writeByte(QUOTE);
  }
}

function namesRoom(cell: usize): usize {
  return (<usize>(load<u32>(cell) + load<u32>(cell, 4) + load<u32>(cell, 8)) + 7) & ~7;
}

/** Goes on after a quoted value. */
function writeNames(cell: usize): void {
  const names = cell + HEADER;
  const route = <usize>load<u32>(cell);
  const variant = <usize>load<u32>(cell, 4);
  write(',"route":"');
  writeSafe(names, route);
  write('","variant":"');
  writeSafe(names + route, variant);
  write(load<u32>(cell, 12) == 0 ? '","tier":"' : '","tenant":"');
  writeSafe(names + route + variant, load<u32>(cell, 8));
  writeByte(QUOTE);
}
