import { setTimeout as sleep } from "node:timers/promises";
import {
  createEtcdClient,
  EtcdError,
  endOf,
  getOp,
  kvsOf,
  parseEtcdAddress,
  text,
} from "../../etcd/index.ts";
import { type KeyValue, RangeRequest_SortOrder } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../../gen/weir/v1/service_pb.ts";
import { createBroadcast } from "../broadcast.ts";
import {
  type Change,
  deleteChange,
  eventOf,
  putChange,
  rolloutChange,
  rolloutEventOf,
} from "../change.ts";
import { type RolloutEvent, type RouteEvent, type Store, StoreUnavailableError } from "../store.ts";
import { checkLayout, keysBelow, openEntry, openRollout, openRoute } from "./layout.ts";
import { type Copy, createMirror, type Mirror, readAll, readEntries } from "./mirror.ts";
import { restoreContents } from "./restore.ts";
import { writeChange } from "./write.ts";

const retryMs = 500;
/** Reads a transaction may hold (etcd, --max-txn-ops). */
const mostOps = 100;

/**
 * A store in an etcd cluster, for several replicas of the control service.
 * Reads come from the cluster while it answers; while it does not, from this
 * process's copy, and `staleSince` says so. Writes are never taken meanwhile.
 * @throws EtcdAddressError
 */
export function createEtcdStore(address: string, now: () => Date = () => new Date()): Store {
  const client = createEtcdClient(parseEtcdAddress(address));
  const keys = keysBelow(client.prefix);
  const routeEvents = createBroadcast<RouteEvent>();
  const rolloutEvents = createBroadcast<RolloutEvent>();
  let checked: Promise<void> | undefined;
  let staleSince: Date | undefined;
  let closed = false;
  const mirror: Mirror = createMirror({ client, keys, ready, now }, (entry) => {
    const event = eventOf(entry);
    if (event) routeEvents.send(event);
    const rolloutEvent = rolloutEventOf(entry);
    if (rolloutEvent) rolloutEvents.send(rolloutEvent);
  });

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

  async function one(key: string): Promise<KeyValue | undefined> {
    return kvsOf((await client.read({ success: [getOp(key)] })).responses[0])[0];
  }

  async function everything(): Promise<Copy> {
    const read = await readAll(client, keys);
    mirror.learn(read);
    return read;
  }

  /** Makes a write that this process's own reads hold from then on, whether etcd answers or not. */
  async function write(...change: [string, Parameters<typeof writeChange>[3]]): Promise<Change> {
    const made = await asked(() => writeChange(client, keys, ...change));
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
      return kvs.map((kv) => openEntry(kv).entry);
    }
    const prefix = keys.historyOf(name);
    const { kvs } = await client.range(prefix, endOf(prefix), { ...options, keysOnly: true });
    const found = kvs.map(({ key }) => keys.auditOf(BigInt(text(key).slice(prefix.length))));
    const entries: AuditEntry[] = [];
    for (let at = 0; at < found.length; at += mostOps) {
      const success = found.slice(at, at + mostOps).map((key) => getOp(key));
      const { responses } = await client.read({ success });
      entries.push(...responses.flatMap(kvsOf).map((kv) => openEntry(kv).entry));
    }
    return entries;
  }

  /** The audit after a number, however long etcd takes to answer. */
  async function backlog(after: bigint, signal: AbortSignal): Promise<AuditEntry[]> {
    while (!signal.aborted && !closed) {
      try {
        return (await asked(() => readEntries(client, keys, after))).entries;
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
    for (const event of (await backlog(after, signal)).flatMap((entry) => eventIn(entry) ?? [])) {
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
          return kv && openRoute(kv);
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
          return kv && openRollout(kv);
        },
        ({ rollouts }) => rollouts.get(name),
      ),
    listRollouts: () => read(everything, same).then(({ rollouts }) => sorted(rollouts)),
    async put(name, draft, etag, action, author) {
      const { state } = await write(name, (stored, sequence) =>
        putChange(name, draft, etag, stored, sequence, action, author, now()),
      );
      return state as RouteState;
    },
    async delete(name, etag, author) {
      const { entry } = await write(name, (stored, sequence) =>
        deleteChange(name, etag, stored, sequence, author, now()),
      );
      return entry.before as RouteState;
    },
    async putRollout(name, given, action, author) {
      const { state, rollout } = await write(name, (stored, sequence) =>
        rolloutChange(name, given, stored, sequence, action, author, now()),
      );
      return { rollout: rollout as RolloutState, ...(state ? { route: state } : {}) };
    },
    audit: (name, limit) => asked(() => history(name, limit)),
    watch(after, signal) {
      // Registered before the backlog is read, so that nothing written in between is lost.
      return replay(after, eventOf, routeEvents.watch([], signal), signal);
    },
    watchRollouts: (after, signal) =>
      replay(after, rolloutEventOf, rolloutEvents.watch([], signal), signal),
    staleSince: () => staleSince,
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
