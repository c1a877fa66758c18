import { found, readShared, writeShared } from "../sdk";
import { NUMBERED_KEY, numberedKey } from "./keys";

// A table that all workers of a proxy change: 4,096 keys of shared data, each a
// set of a few ways, each way a name of 64 bits and what is known of it. Nothing
// can make it grow, and that the host deletes no key does not matter. Whoever is
// pushed out of a set leaves what it owes to the one that takes its way.
//
//   for (let i = 0; i < MAX_TRIES; i++) {
//     readSet(BUCKETS, name, set, SET_BYTES);
//     ... change a way of the set ...
//     const status = writeSet(BUCKETS, name, set, SET_BYTES);
//     if (status != CAS_MISMATCH) break;
//   }
const SETS: u64 = 4096;

/** Another worker was faster so many times: the set counts as unavailable. */
export const MAX_TRIES: i32 = 8;

function setOf(letter: u8, name: u64): usize {
  return numberedKey(letter, <u16>((name >> 32) & (SETS - 1)));
}

/** Reads the set of a name where the host has it; the way it lies there is in `found`, 0 bytes if there is none. */
export function peekSet(letter: u8, name: u64): void {
  readShared(setOf(letter, name), NUMBERED_KEY);
}

/** Copies the set of a name; it is zeros where there is none, or one of another size. */
export function readSet(letter: u8, name: u64, set: usize, bytes: usize): void {
  peekSet(letter, name);
  if (found.bytes == bytes) memory.copy(set, found.ptr, bytes);
  else memory.fill(set, 0, bytes);
}

/** Writes the set that was read last, unless another worker did: OK, CAS_MISMATCH or a failure of the host. */
export function writeSet(letter: u8, name: u64, set: usize, bytes: usize): i32 {
  return writeShared(setOf(letter, name), NUMBERED_KEY, set, bytes);
}

/**
 * The way of a name: its own, or the one whose time, the second word, is earliest.
 * A newcomer takes over that one's debt, so being pushed out never fills a bucket.
 */
export function wayIn(set: usize, bytes: usize, wayBytes: usize, name: u64): usize {
  let oldest = set;
  for (let way = set; way < set + bytes; way += wayBytes) {
    if (load<u64>(way) == name) return way;
    if (load<u64>(way, 8) < load<u64>(oldest, 8)) oldest = way;
  }
  return oldest;
}
