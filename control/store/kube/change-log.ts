import type { AuditEntry } from "../../gen/weir/v1/service_pb.ts";
import { type KubeClient, KubeError, type KubeObject } from "../../kube/index.ts";
import { errorText } from "../../text/error-text.ts";
import type { Change as StoreChange } from "../change.ts";
import { appliedLabel, changePath, changesPath, sequenceOf, storeManager } from "./names.ts";
import { createSerial } from "./per-key-queue.ts";
import { changeObject, damagedEntry, type Effect, entryOf } from "./record.ts";

/** What is kept in memory of a change. */
export interface Change {
  sequence: bigint;
  /** "namespace/name" of the route. */
  name: string;
  effect: Effect;
  /** It changes the route's rollout. */
  rollout: boolean;
  /** The route's object shows it. */
  applied: boolean;
}

/**
 * The log of all changes: one RouteChange object each, numbered without a gap.
 * Making the object of the next number is the moment a change happens: the API
 * server lets only one writer make it.
 */
export interface ChangeLog {
  newest(): bigint;
  /** The newest leadership that wrote anything; 0 before the first. */
  fence(): bigint;
  /** The newest change of the route itself. */
  newestOf(name: string): Change | undefined;
  /** Routes that the log knows. */
  names(): string[];
  /**
   * Decides on a change and adds it, one after the other: of a thousand that are
   * decided on at once all but one would lose the next number, again and again.
   */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** False when another writer took the number: catch up, and decide again. */
  append(change: StoreChange): Promise<boolean>;
  /** Reads what other writers added since. */
  catchUp(): Promise<void>;
  markApplied(sequence: bigint): Promise<void>;
  /** Numbers after the given one, oldest first; or of one route. */
  after(sequence: bigint): bigint[];
  of(name: string): bigint[];
  read(sequence: bigint): Promise<AuditEntry | undefined>;
  /** Takes a change as the watch tells it, or all there are. */
  take(object: KubeObject): void;
  takeAll(objects: KubeObject[]): void;
  forget(object: KubeObject): void;
}

/** So many changes stay; beyond that only the newest of each route. */
const kept = 2_000;
const slack = 100;
const maxDamaged = 10_000;

/** @param onEntry called once for each change, in order; at the start for the newest of each route and rollout. */
export function createChangeLog(
  client: KubeClient,
  namespace: string,
  onEntry: (entry: AuditEntry) => void,
  say: (line: string) => void = () => {},
): ChangeLog {
  const changes = new Map<bigint, Change>();
  const last = new Map<string, Change>();
  const lastRollout = new Map<string, Change>();
  const alone = createSerial();
  /** Numbers whose objects hold no entry, and of which that was said. */
  const damaged = new Set<bigint>();
  let newest = 0n;
  let fence = 0n;

  /** Numbers come in order, hence a later one replaces what was newest. */
  function note(object: KubeObject, sequence: bigint, damaged: boolean): void {
    const change: Change = {
      sequence,
      name: damaged ? "" : String(object.spec?.route),
      effect: damaged ? "none" : (object.spec?.effect as Effect),
      rollout: !damaged && object.spec?.rollout === true,
      applied: damaged || object.metadata.labels?.[appliedLabel] === "true",
    };
    changes.set(sequence, change);
    if (change.effect !== "none") last.set(change.name, change);
    if (change.rollout) lastRollout.set(change.name, change);
    newest = sequence;
    const given = String(object.spec?.fence ?? 0);
    // A leadership that is lower than one that wrote already never writes again.
    if (!damaged && /^\d{1,20}$/.test(given) && BigInt(given) > fence) fence = BigInt(given);
  }

  /** The entry of an object, or undefined if it holds none: a broken object does not affect the others. */
  function read(object: KubeObject, sequence: bigint): AuditEntry | undefined {
    try {
      return entryOf(object);
    } catch (error) {
      if (!damaged.has(sequence)) say(errorText(error));
      damaged.add(sequence);
      if (damaged.size > maxDamaged) damaged.clear();
      return undefined;
    }
  }

  /** What a restart needs: the newest of each live route and of each rollout, and what tells that a route is gone. */
  function isNeeded(change: Change): boolean {
    if (change.sequence === newest || lastRollout.get(change.name) === change) return true;
    const gone = change.effect === "delete" && !lastRollout.has(change.name);
    return last.get(change.name) === change && !gone;
  }

  function drop(change: Change): void {
    changes.delete(change.sequence);
    if (last.get(change.name) === change) last.delete(change.name);
    if (lastRollout.get(change.name) === change) lastRollout.delete(change.name);
  }

  function take(object: KubeObject): void {
    const sequence = sequenceOf(object.metadata.name);
    if (sequence === undefined) return;
    if (sequence <= newest) {
      const known = changes.get(sequence);
      if (known && object.metadata.labels?.[appliedLabel] === "true") known.applied = true;
      return;
    }
    const entry = read(object, sequence);
    // Only as the next one it takes a number; the number stays taken.
    if (entry === undefined && sequence !== newest + 1n) return;
    note(object, sequence, entry === undefined);
    if (entry) onEntry(entry);
  }

  async function prune(): Promise<void> {
    if (changes.size <= kept + slack) return;
    const old = [...changes.values()].sort((a, b) => (a.sequence < b.sequence ? -1 : 1));
    for (const change of old.slice(0, changes.size - kept)) {
      if (isNeeded(change)) continue;
      await client.delete(changePath(namespace, change.sequence));
      drop(change);
    }
  }

  return {
    newest: () => newest,
    fence: () => fence,
    newestOf: (name) => last.get(name),
    names: () => [...last.keys()],
    inTurn: (work) => alone("", work),
    async append({ entry, fence: newer }) {
      try {
        const object = changeObject(entry, newer ?? fence, namespace);
        take(await client.create(changesPath(namespace), object, { fieldManager: storeManager }));
      } catch (error) {
        if (error instanceof KubeError && error.reason === "AlreadyExists") return false;
        throw error;
      }
      // Old entries are no reason to fail a write.
      prune().catch(() => {});
      return true;
    },
    async catchUp() {
      for (;;) {
        const object = await client.get(changePath(namespace, newest + 1n));
        if (object === undefined) return;
        take(object);
      }
    },
    async markApplied(sequence) {
      const change = changes.get(sequence);
      if (change?.applied) return;
      const patch = { metadata: { labels: { [appliedLabel]: "true" } } };
      try {
        await client.merge(changePath(namespace, sequence), patch, { fieldManager: storeManager });
      } catch (error) {
        // Pruned meanwhile: then no one needs the mark.
        if (!(error instanceof KubeError && error.status === 404)) throw error;
      }
      if (change) change.applied = true;
    },
    after: (sequence) => [...changes.keys()].filter((each) => each > sequence).sort(ascending),
    of: (name) =>
      [...changes.values()]
        .filter((change) => change.name === name)
        .map((change) => change.sequence)
        .sort(ascending),
    async read(sequence) {
      const object = await client.get(changePath(namespace, sequence));
      if (object === undefined) return undefined;
      try {
        return entryOf(object);
      } catch (error) {
        return damagedEntry(sequence, error);
      }
    },
    take,
    takeAll(objects) {
      const numbered = objects
        .flatMap((object) => {
          const sequence = sequenceOf(object.metadata.name);
          return sequence === undefined ? [] : [{ sequence, object }];
        })
        .sort((a, b) => ascending(a.sequence, b.sequence));
      if (newest > 0n) {
        for (const { object } of numbered) take(object);
        return;
      }
      for (const { object, sequence } of numbered) {
        const entry = read(object, sequence);
        if (entry === undefined && sequence !== newest + 1n) continue;
        note(object, sequence, entry === undefined);
      }
      for (const { object, sequence } of numbered) {
        const change = changes.get(sequence);
        const entry = change && change.name !== "" ? read(object, sequence) : undefined;
        if (entry && change && isNeeded(change)) onEntry(entry);
      }
    },
    forget(object) {
      const sequence = sequenceOf(object.metadata.name);
      const change = sequence === undefined ? undefined : changes.get(sequence);
      if (change !== undefined && sequence !== newest) drop(change);
    },
  };
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : 1;
}
