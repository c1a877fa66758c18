import { setTimeout as sleep } from "node:timers/promises";
import {
  createEtcdClient,
  EtcdError,
  endOf,
  getOp,
  kvsOf,
  numberOf,
  parseEtcdAddress,
  text,
} from "../../etcd/index.ts";
import { type KeyValue, RangeRequest_SortOrder } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { AuditEntry } from "../../gen/weir/v1/service_pb.ts";
import { createBroadcast } from "../broadcast.ts";
import { type Change, eventName, eventOf, rolloutEventName, rolloutEventOf } from "../change.ts";
import { type Store, StoreUnavailableError } from "../store.ts";
import { createWrites } from "../writes.ts";
import { type Copy, checkGrown } from "./copy.ts";
import { checkLayout, isDamaged, keysBelow, openEntry, sequenceIn } from "./layout.ts";
import { createMirror, type Mirror } from "./mirror.ts";
import { newestSequence, readAll, readEntries } from "./read.ts";
import { restoreContents } from "./restore.ts";
import { writeChange } from "./write.ts";

const retryMs = 500;
/** Reads a transaction may hold (etcd, --max-txn-ops). */
const maxOps = 100;

/**
 * A store in an etcd cluster, for several replicas of the control service.
 * Reads come from the cluster while it answers; while it does not, from this
 * process's copy, and `staleSince` says so. Writes are never taken meanwhile.
 * @throws EtcdAddressError
 */
export function createEtcdStore(
  address: string,
  log: (line: string, code: string) => void = () => {},
  now: () => Date = () => new Date(),
): Store {
  const client = createEtcdClient(parseEtcdAddress(address));
  const keys = keysBelow(client.prefix);
  const routeEvents = createBroadcast({ nameOf: eventName });
  const rolloutEvents = createBroadcast({ nameOf: rolloutEventName });
  let checked: Promise<void> | undefined;
  let staleSince: Date | undefined;
  let closed = false;
  let reading: Promise<Copy> | undefined;
  let nextReading: Promise<Copy> | undefined;
  const mirror: Mirror = createMirror({ client, keys, ready, now, log }, (entry) => {
    const event = eventOf(entry);
    if (event) routeEvents.send(event);
    const rolloutEvent = rolloutEventOf(entry);
    if (rolloutEvent) rolloutEvents.send(rolloutEvent);
  });

  const { recovery } = mirror;

  function ready(): Promise<void> {
    if (closed) throw new StoreUnavailableError("the store is closed");
    checked ??= checkLayout(client, keys).catch((error) => {
      checked = undefined;
      throw error;
    });
    return checked;
  }

  async function asked<T>(work: () => Promise<T>): Promise<T> {
    try {
      await ready();
      return await work();
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      throw new StoreUnavailableError(
        `etcd ${error.refused ? "refused" : "does not answer"}: ${error.message}`,
      );
    }
  }

  /** An answer from etcd; from the copy where etcd is away, but never in place of damaged data. */
  async function read<T>(fromEtcd: () => Promise<T>, fromCopy: (copy: Copy) => T): Promise<T> {
    const copy = mirror.current();
    // Known to be away: the copy answers at once instead of after every member's timeout.
    if (copy && mirror.behind() && !closed) return fromCopy(stale(copy));
    return asked(async () => {
      try {
        const answer = await fromEtcd();
        staleSince = undefined;
        return answer;
      } catch (error) {
        const last = mirror.current();
        if (last === undefined || !(error instanceof EtcdError)) throw error;
        return fromCopy(stale(last));
      }
    });
  }

  const seen = () => mirror.current()?.sequence ?? 0n;

  async function one(key: string): Promise<KeyValue | undefined> {
    const known = seen();
    const { responses } = await client.read({ success: [getOp(keys.sequence), getOp(key)] });
    const [sequence, found] = responses.map((answer) => kvsOf(answer)[0]);
    checkGrown(keys, known, numberOf(sequence));
    return found;
  }

  /**
   * Everything as of now. Who asks while it is read waits for the next reading, together with all
   * who ask until that begins: a thousand who come at once cost two readings.
   */
  function everything(): Promise<Copy> {
    if (reading === undefined) return readNow();
    nextReading ??= reading
      .catch(() => {})
      .then(() => {
        nextReading = undefined;
        return readNow();
      });
    return nextReading;
  }

  function readNow(): Promise<Copy> {
    const mine = readFresh().finally(() => {
      if (reading === mine) reading = undefined;
    });
    reading = mine;
    return mine;
  }

  async function readFresh(): Promise<Copy> {
    const known = seen();
    const read = await readAll(client, keys, recovery);
    checkGrown(keys, known, read.sequence);
    mirror.learn(read);
    return read;
  }

  /** Makes a write that this process's own reads hold from then on, whether etcd answers or not. */
  async function write(...change: [string, Parameters<typeof writeChange>[5]]): Promise<Change> {
    const made = await asked(() => writeChange(client, keys, recovery, seen(), ...change));
    mirror.wrote(made.entry);
    return made;
  }

  function stale(copy: Copy): Copy {
    staleSince ??= mirror.asOf();
    return copy;
  }

  async function history(name: string, limit: number): Promise<AuditEntry[]> {
    const options = { limit: BigInt(limit), sortOrder: RangeRequest_SortOrder.DESCEND };
    if (name === "") {
      const { kvs } = await client.range(keys.audit, endOf(keys.audit), options);
      return kvs.map(entryIn).filter(({ sequence }) => sequence > 0n);
    }
    const prefix = keys.historyOf(name);
    const { kvs } = await client.range(prefix, endOf(prefix), { ...options, keysOnly: true });
    const found = kvs.flatMap(({ key }) => {
      const sequence = sequenceIn(text(key).slice(prefix.length));
      return sequence === undefined ? [] : [keys.auditOf(sequence)];
    });
    const entries: AuditEntry[] = [];
    for (let at = 0; at < found.length; at += maxOps) {
      const success = found.slice(at, at + maxOps).map((key) => getOp(key));
      const { responses } = await client.read({ success });
      entries.push(...responses.flatMap(kvsOf).map(entryIn));
    }
    // An entry of another route, which a forged key leads to, is none of this one's.
    return entries.filter((entry) => entry.name === name || isDamaged(entry));
  }

  function entryIn(kv: KeyValue): AuditEntry {
    const { entry } = openEntry(kv);
    if (isDamaged(entry)) recovery.note(kv, entry.reason);
    return entry;
  }

  /** The audit after a number, however long etcd takes to answer. */
  async function backlog(after: bigint, signal: AbortSignal): Promise<AuditEntry[]> {
    while (!signal.aborted && !closed) {
      try {
        return await asked(async () => {
          const newest = await newestSequence(client, keys);
          return (await readEntries(client, keys, after, newest, recovery)).entries;
        });
      } catch (error) {
        if (!(error instanceof StoreUnavailableError)) throw error;
        await sleep(retryMs, undefined, { signal }).catch(() => {});
      }
    }
    return [];
  }

  async function* replay<Event extends { sequence: bigint }>(
    after: bigint,
    eventIn: (entry: AuditEntry) => Event | undefined,
    live: AsyncIterable<Event>,
    signal: AbortSignal,
  ): AsyncIterable<Event> {
    let last = after;
    // The live stream delivers what is newer than the copy; a reader that has the whole copy needs no backlog.
    const copy = mirror.current();
    const missed = copy && after >= copy.sequence ? [] : await backlog(after, signal);
    for (const event of missed.flatMap((entry) => eventIn(entry) ?? [])) {
      if (signal.aborted) return;
      last = event.sequence;
      yield event;
    }
    for await (const event of live) {
      if (event.sequence <= last) continue;
      last = event.sequence;
      yield event;
    }
  }

  return {
    get: (name) =>
      read(
        async () => {
          const kv = await one(keys.route(name));
          return kv && recovery.route(kv);
        },
        ({ routes }) => routes.get(name),
      ),
    list: () =>
      read(everything, same).then(({ routes, sequence }) => ({
        routes: sorted(routes),
        sequence,
      })),
    getRollout: (name) =>
      read(
        async () => {
          const kv = await one(keys.rollout(name));
          return kv && recovery.rollout(kv);
        },
        ({ rollouts }) => rollouts.get(name),
      ),
    listRollouts: () => read(everything, same).then(({ rollouts }) => sorted(rollouts)),
    ...createWrites(write, now),
    audit: (name, limit) => asked(() => history(name, limit)),
    watch(after, signal) {
      // Registered before the backlog is read, so that nothing written in between is lost.
      return replay(after, eventOf, routeEvents.watch([], signal), signal);
    },
    watchRollouts: (after, signal) =>
      replay(after, rolloutEventOf, rolloutEvents.watch([], signal), signal),
    staleSince: () => staleSince,
    damaged: recovery.damaged,
    restore: (contents) => asked(() => restoreContents(client, keys, contents)),
    async close() {
      closed = true;
      mirror.close();
      routeEvents.close();
      rolloutEvents.close();
      client.close();
    },
  };
}

const same = (copy: Copy) => copy;

function sorted<T>(byName: ReadonlyMap<string, T>): T[] {
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
