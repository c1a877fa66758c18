import { allocate, release } from "../sdk";

/**
 * Finds a name that one JSON object holds twice, for any number of objects in
 * one document: an open-addressing table of hashes that are salted with the
 * number of the object. Sized once per document, freed with it.
 */
let slots: usize = 0;
let mask: usize = 0;

/** Makes room for at most `names` names. */
export function openNameSet(names: usize): void {
  let size: usize = 64;
  while (size < names << 1) size <<= 1;
  slots = allocate(size << 3);
  memory.fill(slots, 0, size << 3);
  mask = size - 1;
}

export function closeNameSet(): void {
  if (slots != 0) release(slots);
  slots = 0;
}

/** False when that object already has a name of that hash. */
export function addName(hash: u64): bool {
  const entry = hash | 1;
  let slot = <usize>(hash >> 20) & mask;
  while (true) {
    const there = load<u64>(slots + (slot << 3));
    if (there == entry) return false;
    if (there == 0) break;
    slot = (slot + 1) & mask;
  }
  store<u64>(slots + (slot << 3), entry);
  return true;
}
