import { createHash } from "node:crypto";

/**
 * Which of several replicas keeps the books for a key (a tenant's fleet-wide
 * budget): by the highest of the hashes of key and replica, so that a replica
 * that comes or goes moves only its own share (rendezvous hashing).
 * @returns undefined when there is no replica
 */
export function ownerOf(key: string, replicas: Iterable<string>): string | undefined {
  let owner: string | undefined;
  let highest = -1n;
  for (const replica of replicas) {
    const hash = createHash("sha256").update(`${replica}\0${key}`).digest().readBigUInt64BE();
    if (hash > highest || (hash === highest && replica < (owner ?? ""))) {
      highest = hash;
      owner = replica;
    }
  }
  return owner;
}

/** Keys are remembered up to this number, then found anew. */
const maxRemembered = 100_000;

/**
 * Tells of a key whether this replica is its owner among those that answer.
 * @param others names of the other replicas, now
 */
export function createOwnership(
  self: string,
  others: () => readonly string[],
): (key: string) => boolean {
  const owned = new Map<string, boolean>();
  let among = "";
  return (key) => {
    const names = others();
    if (names.length === 0) return true;
    const now = names.join();
    if (now !== among || owned.size > maxRemembered) owned.clear();
    among = now;
    const known = owned.get(key) ?? ownerOf(key, [self, ...names]) === self;
    owned.set(key, known);
    return known;
  };
}
