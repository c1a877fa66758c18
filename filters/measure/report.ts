import {
  resetArena,
  sharedBytes,
  write,
  writeByte,
  writeSafe,
  writeUint,
  writtenBytes,
} from "../sdk";
import { COUNTERS, HISTOGRAMS } from "./cells";
import { writeCounterLabel, writeCounterName, writeHistogramName } from "./names";
import { readSharedCell, sharedCellCount } from "./shared-cells";

/** Room for distributions in one report; proxies with more tell them by turns. */
const ROOM: usize = 160_000;
const HEADER: usize = 16;

/** Cells of tenants beyond so many in all are told by turns, counts and distributions of one together. */
const AT_ONCE: i32 = 32;

/** Where the next report's distributions begin. */
let turn: i32 = 0;
/** Number of the report. */
let round: u32 = 0;

function isDue(cell: usize, place: i32, cells: i32): bool {
  if (load<u32>(cell, 12) == 0) return true;
  const rounds = <u32>((cells + AT_ONCE - 1) / AT_ONCE);
  return <u32>place % rounds == round % rounds;
}

/** Writes the counters of all cells, a comma first where one came before. */
export function writeCellCounters(before: bool): void {
  let any = before;
  const cells = sharedCellCount();
  for (let place = 0; place < cells; place++) {
    resetArena();
    const cell = readSharedCell(place);
    if (cell == 0 || !isDue(cell, place, cells)) continue;
    const end = cell + sharedBytes;
    let at = cell + HEADER + namesRoom(cell);
    for (let i = 0; i < COUNTERS && at + 8 <= end; i++) {
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
      writeByte(0x22);
      writeNames(cell);
      writeByte(0x7d);
    }
  }
}

/** Writes as many distributions as there is room for, beginning where the last report ended. */
export function writeCellHistograms(): void {
  write(',"histograms":[');
  const cells = sharedCellCount();
  const start = writtenBytes();
  let any = false;
  for (let i = 0; i < cells && writtenBytes() - start < ROOM; i++) {
    turn = turn + 1 < cells ? turn + 1 : 0;
    resetArena();
    const cell = readSharedCell(turn);
    if (cell != 0 && isDue(cell, turn, cells)) any = writeCell(cell, any);
  }
  round++;
  writeByte(0x5d);
}

function writeCell(cell: usize, before: bool): bool {
  let any = before;
  const end = cell + sharedBytes;
  let at = cell + HEADER + namesRoom(cell) + ((<usize>COUNTERS) << 3);
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
    writeByte(0x22);
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
    if (any) writeByte(0x2c);
    any = true;
    const bucket = first + i;
    if (bucket < 0) writeByte(0x2d);
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
    writeByte(0x22);
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
  writeByte(0x22);
}
