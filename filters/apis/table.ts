import { SPACE } from "../format/ascii-codes";
import { JsonScan, KEPT_BYTES, keptText } from "../format/json-scan";
import { Ascii, reserve } from "../sdk";

// Names that mean something, by the level they stand at. A table is made once, of
// text like
//
//   "a choices:b usage:e; c delta:d finish_reason:F"
//
// where a single letter names the level that the entries behind it belong to, and
// each entry is a name and what it means. Finding a name compares words of eight bytes,
// those of one level only, so a new name costs other levels nothing.

const LEVELS: usize = 16;

@unmanaged
class Entry {
  /** The name, padded with zeros. */
  name0: u64;
  name1: u64;
  name2: u64;
  name3: u64;
  /** The next one of the level, or 0. */
  next: usize;
  bytes: u32;
  /** What it means: a letter, or where what it names stands. */
  meaning: u32;
  /** Its place in the table, from 0. */
  place: u32;
}

/** Pointers to the first entries of the levels, and how many entries there are. */
export function openTable(): usize {
  return reserve((LEVELS << 2) + 4);
}

/** Number of a level that a letter names, from 1. */
function levelOf(letter: u32): u32 {
  return letter - 0x60;
}

/** Adds what a text lists. */
export function addNames(table: usize, text: Ascii): void {
  const end = text.ptr + <usize>text.length;
  let level: u32 = 0;
  let at = text.ptr;
  while (at < end) {
    let to = at;
    while (to < end && load<u8>(to) != SPACE) to++;
    if (to - at == 1) level = levelOf(load<u8>(at));
    else addName(table, level, at, to - at - 2, load<u8>(to - 1));
    at = to + 1;
  }
}

export function addName(table: usize, level: u32, name: usize, bytes: usize, meaning: u32): void {
  const entry = changetype<Entry>(reserve(offsetof<Entry>()));
  memory.copy(changetype<usize>(entry), name, bytes);
  entry.bytes = <u32>bytes;
  entry.meaning = meaning;
  const first = table + ((<usize>level) << 2);
  entry.next = load<usize>(first);
  entry.place = load<u32>(table, LEVELS << 2);
  store<usize>(first, changetype<usize>(entry));
  store<u32>(table, entry.place + 1, LEVELS << 2);
}

/** The entry of the name that a scanner kept, or 0. */
export function findScanned(table: usize, level: u32, scan: JsonScan): usize {
  return findName(table, level, keptText(scan), scan.bytes > KEPT_BYTES ? 0 : scan.kept);
}

/** The entry of a name of at most 32 bytes, with zeros behind it; or 0. */
export function findName(table: usize, level: u32, name: usize, bytes: u32): usize {
  const name0 = load<u64>(name);
  for (let at = load<usize>(table + ((<usize>level) << 2)); at != 0; ) {
    const entry = changetype<Entry>(at);
    if (
      entry.name0 == name0 &&
      entry.name1 == load<u64>(name, 8) &&
      entry.name2 == load<u64>(name, 16) &&
      entry.name3 == load<u64>(name, 24) &&
      entry.bytes == bytes
    )
      return at;
    at = entry.next;
  }
  return 0;
}

export function meaningOf(entry: usize): u32 {
  return changetype<Entry>(entry).meaning;
}
export function placeOf(entry: usize): u32 {
  return changetype<Entry>(entry).place;
}
export function nameOf(entry: usize): usize {
  return entry;
}
export function nameBytesOf(entry: usize): usize {
  return changetype<Entry>(entry).bytes;
}
