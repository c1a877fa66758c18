import { addTo, clearTable, Table, valueIn } from "../sdk";

/**
 * Finds a name that one JSON object holds twice, for any number of objects in
 * one document: hashes that are salted with the number of the object.
 */
const names = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));

/** Forgets the names of a document. */
export function closeNameSet(): void {
  clearTable(names);
}

/** False when that object already has a name of that hash. */
export function addName(hash: u64): bool {
  if (valueIn(names, hash) != 0) return false;
  addTo(names, hash, 1);
  return true;
}
