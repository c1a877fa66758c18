import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { type EtcdClient, text } from "../../etcd/index.ts";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
} from "../../gen/weir/v1/service_pb.ts";
import { type Copy, checkGrown } from "./copy.ts";
import { isDamaged, type Keys, openEntry, sequenceIn } from "./layout.ts";
import { newestSequence, readAll, readEntries } from "./read.ts";
import { createRecovery, type Recovery } from "./recovery.ts";

/**
 * A copy of routes and rollouts in this process that follows every write: it answers
 * reads while etcd does not, and it tells of each write once and in order.
 */
export interface Mirror {
  /** Undefined until etcd has answered once. */
  current(): Copy | undefined;
  /** When the copy was last known to be up to date. */
  asOf(): Date;
  /** Whether etcd could not be followed lately. */
  behind(): boolean;
  /** Reads keys that may be damaged. */
  recovery: Recovery;
  /** Takes what etcd answered in place of a first reading that is still under way. */
  learn(read: Copy): void;
  /** Takes a write of this process, so that its reads hold it before the watch brings it. */
  wrote(entry: AuditEntry): void;
  close(): void;
}

const firstPauseMs = 50;
const maxPauseMs = 1_000;
const beatMs = 2_000;

/** Ends a watch whose events do not follow on what is known: etcd is there, and is read anew at once. */
const missed = new Error("the watch missed changes");

/** What a mirror follows. */
export interface MirrorSource {
  client: EtcdClient;
  keys: Keys;
  /** Resolves when the keyspace is known to be of this layout. */
  ready(): Promise<void>;
  now(): Date;
  log(line: string, code: string): void;
}

/** Starts to follow. @param tell called for each write after the first reading, in order */
export function createMirror(
  { client, keys, ready, now, log }: MirrorSource,
  tell: (entry: AuditEntry) => void,
): Mirror {
  const stop = new AbortController();
  const routes = new Map<string, RouteState>();
  const rollouts = new Map<string, RolloutState>();
  let filled = false;
  let sequence = 0n;
  let asOf = new Date(0);
  let behind = true;

  const current = () => (filled ? { routes, rollouts, sequence } : undefined);
  const recovery = createRecovery(client, keys, current, log);

  function apply(entry: AuditEntry): void {
    if (entry.sequence <= sequence) return;
    sequence = entry.sequence;
    if (entry.after) routes.set(entry.name, entry.after);
    else if (entry.before) routes.delete(entry.name);
    if (entry.rolloutAfter) rollouts.set(entry.name, entry.rolloutAfter);
    tell(entry);
  }

  /** @returns whether it was the first */
  function fill(read: Copy): boolean {
    if (filled) return false;
    ({ sequence } = read);
    for (const [name, state] of read.routes) routes.set(name, state);
    for (const [name, state] of read.rollouts) rollouts.set(name, state);
    filled = true;
    confirmed();
    return true;
  }

  /** Reads up to now; what was missed comes from the audit, which no compaction takes away. */
  async function catchUp(): Promise<bigint> {
    if (!filled) {
      const read = await readAll(client, keys, recovery);
      if (fill(read)) return read.revision;
    }
    const known = sequence;
    const newest = await newestSequence(client, keys);
    checkGrown(keys, known, newest);
    const { entries, revision } = await readEntries(client, keys, known, newest, recovery);
    for (const entry of entries) apply(entry);
    if (entries.some(isDamaged)) await compare();
    // Entries that are missing are no reason to read the same again and again.
    if (sequence < newest) sequence = newest;
    return revision;
  }

  /** What an entry that cannot be read changed stands in the routes themselves. */
  async function compare(): Promise<void> {
    const read = await readAll(client, keys, recovery);
    const told = (name: string) =>
      create(AuditEntrySchema, { sequence: read.sequence, action: "found", name });
    for (const name of new Set([...routes.keys(), ...read.routes.keys()])) {
      const [before, after] = [routes.get(name), read.routes.get(name)];
      if (before?.etag === after?.etag) continue;
      if (after) routes.set(name, after);
      else routes.delete(name);
      tell(Object.assign(told(name), before ? { before } : {}, after ? { after } : {}));
    }
    for (const [name, rolloutAfter] of read.rollouts) {
      if (rollouts.get(name)?.etag === rolloutAfter.etag) continue;
      rollouts.set(name, rolloutAfter);
      tell(Object.assign(told(name), { rolloutAfter }));
    }
    if (read.sequence > sequence) ({ sequence } = read);
  }

  async function follow(): Promise<void> {
    let pauseMs = firstPauseMs;
    while (!stop.signal.aborted) {
      // Ends the watch when the heart stops, and the heart when the watch ends.
      const round = new AbortController();
      const signal = AbortSignal.any([stop.signal, round.signal]);
      try {
        await ready();
        const revision = await catchUp();
        confirmed();
        pauseMs = firstPauseMs;
        await Promise.race([watch(revision + 1n, signal), beat(signal)]);
      } catch (error) {
        // Whatever ended it, the next round reads again from the last write seen.
        if (error === missed) continue;
        behind = true;
      } finally {
        round.abort();
      }
      await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, maxPauseMs);
    }
  }

  function confirmed(): void {
    asOf = now();
    behind = false;
  }

  async function watch(from: bigint, signal: AbortSignal): Promise<void> {
    for await (const { events } of client.watch(keys.audit, from, signal)) {
      const news = events.flatMap(({ kv }) => {
        const number = kv && sequenceIn(text(kv.key).slice(keys.audit.length));
        return kv && number !== undefined && number > sequence ? [kv] : [];
      });
      if (news.length === 0) continue;
      const newest = await newestSequence(client, keys);
      for (const kv of news) {
        const { entry } = openEntry(kv);
        // What is not the next one, or not a write at all, is read anew: up to the newest write.
        // While a backup is restored there is none yet: it comes last.
        if (newest === 0n) continue;
        if (entry.sequence > newest) recovery.note(kv, "no write with this number exists");
        else if (entry.sequence > sequence + 1n || isDamaged(entry)) throw missed;
        else apply(entry);
      }
    }
  }

  /**
   * Asks now and then what the newest write is: an idle watch cannot be told
   * from one whose other end is gone, nor from one that missed something.
   */
  async function beat(signal: AbortSignal): Promise<void> {
    for (let before = sequence; ; ) {
      await sleep(beatMs, undefined, { signal });
      const known = sequence;
      const newest = await newestSequence(client, keys);
      checkGrown(keys, known, newest);
      if (before > sequence) throw new Error("the watch sent nothing although there were writes");
      confirmed();
      before = newest;
    }
  }

  void follow();
  return {
    current,
    recovery,
    asOf: () => asOf,
    behind: () => behind,
    learn: (read) => void fill(read),
    wrote(entry) {
      // Others' writes in between come with the watch, and in their order.
      if (!filled || entry.sequence !== sequence + 1n) return;
      asOf = now();
      apply(entry);
    },
    close: () => stop.abort(),
  };
}
