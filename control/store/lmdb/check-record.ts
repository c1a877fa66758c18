import { crc32 } from "node:zlib";
import { DamageError } from "./damage.ts";

/** Name of the tree that lists what is free. */
const free = "the list of free pages";
const sealed = ["routes", "rollouts", "meta", "audit"];

/**
 * Checks one record of a tree: the checksum of its content, and of the audit that it is
 * the entry of its number. What the list of free pages names must be used by no one.
 * @throws DamageError
 */
export function checkRecord(
  tree: string,
  key: Buffer,
  data: Buffer,
  use: (first: number, count: number, what: string) => void,
): void {
  if (tree === free) checkFree(data, use);
  if (!sealed.includes(tree)) return;
  const content = data.subarray(4);
  if (data.length < 4 || data.readUInt32LE() !== crc32(content))
    throw new DamageError(`the checksum of a record of ${tree} does not match`);
  // Field 1 of an AuditEntry, its sequence, stands first.
  if (tree === "audit" && (key.length !== 4 || sequenceOf(content) !== key.readUInt32LE()))
    throw new DamageError(`an entry of ${tree} is stored under the wrong number`);
}

function checkFree(data: Buffer, use: (first: number, count: number, what: string) => void): void {
  const wrong = () => new DamageError(`${free} is not valid`);
  if (data.length < 8) throw wrong();
  const last = Number(data.readBigUInt64LE(0)) * 8;
  if (last + 8 > data.length) throw wrong();
  for (let at = 8; at <= last; at += 8) {
    const entry = Number(data.readBigInt64LE(at));
    if (entry === 0) continue;
    if (entry > 0) {
      use(entry, 1, free);
      continue;
    }
    // A block: its length, negative, then its first page.
    at += 8;
    if (at > last) throw wrong();
    use(Number(data.readBigInt64LE(at)), -entry, free);
  }
}

function sequenceOf(content: Buffer): number {
  if (content[0] !== 0x08) return 0;
  let value = 0;
  for (let at = 1; at < Math.min(content.length, 7); at++) {
    const byte = content[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - 1));
    if (byte < 0x80) return value;
  }
  return 0;
}
