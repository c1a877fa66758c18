import { digestOf, type ResourceSet, type Snapshot } from "./snapshot.ts";

/**
 * The snapshot to send first when clusters go away: the new one, with the old
 * clusters and their endpoints still in it, so that no proxy loses a cluster
 * before it has the routes that no longer name it. Undefined when nothing goes.
 */
export function withoutRemovals(
  before: Snapshot | undefined,
  after: Snapshot,
): Snapshot | undefined {
  if (before === undefined) return undefined;
  const gone = [...before.CDS.resources.keys()].some((name) => !after.CDS.resources.has(name));
  if (!gone) return undefined;
  return { ...after, CDS: union(before.CDS, after.CDS), EDS: union(before.EDS, after.EDS) };
}

function union(before: ResourceSet, after: ResourceSet): ResourceSet {
  const resources = new Map([...before.resources, ...after.resources]);
  return { version: digestOf(resources.values()), resources };
}
