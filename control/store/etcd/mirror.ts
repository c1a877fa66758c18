import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, endOf, getOp, kvsOf, numberOf, text } from "../../etcd/index.ts";
import type { KeyValue } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../../gen/weir/v1/service_pb.ts";
import { type Keys, openEntry, openRollout, openRoute } from "./layout.ts";

/** Everything as of one write. */
export interface Copy {
  routes: ReadonlyMap<string, RouteState>;
  rollouts: ReadonlyMap<string, RolloutState>;
  sequence: bigint;
}

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
  /** Takes what etcd answered in place of a first reading that is still under way. */
  learn(read: Copy): void;
  /** Takes a write of this process, so that its reads hold it before the watch brings it. */
  wrote(entry: AuditEntry): void;
  close(): void;
}

const firstPauseMs = 50;
const longestPauseMs = 1_000;
const beatMs = 2_000;

/** What a mirror follows. */
export interface MirrorSource {
  client: EtcdClient;
  keys: Keys;
  /** Resolves when the keyspace is known to be of this layout. */
  ready(): Promise<void>;
  now(): Date;
}

/** Starts to follow. @param tell called for each write after the first reading, in order */
export function createMirror(
  { client, keys, ready, now }: MirrorSource,
  tell: (entry: AuditEntry) => void,
): Mirror {
  const stop = new AbortController();
  const routes = new Map<string, RouteState>();
  const rollouts = new Map<string, RolloutState>();
  let filled = false;
  let sequence = 0n;
  let asOf = new Date(0);
  let behind = true;

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
      const read = await readAll(client, keys);
      if (fill(read)) return read.revision;
    }
    const { entries, revision } = await readEntries(client, keys, sequence);
    for (const entry of entries) apply(entry);
    return revision;
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
      } catch {
        // Whatever ended it, the next round reads again from the last write seen.
        behind = true;
      } finally {
        round.abort();
      }
      await sleep(pauseMs, undefined, { signal: stop.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
    }
  }

  function confirmed(): void {
    asOf = now();
    behind = false;
  }

  async function watch(from: bigint, signal: AbortSignal): Promise<void> {
    for await (const { events } of client.watch(keys.audit, from, signal))
      for (const { kv } of events) if (kv) apply(openEntry(kv).entry);
  }

  /**
   * Asks now and then what the newest write is: an idle watch cannot be told
   * from one whose other end is gone, nor from one that missed something.
   */
  async function beat(signal: AbortSignal): Promise<void> {
    for (let before = sequence; ; ) {
      await sleep(beatMs, undefined, { signal });
      const { responses } = await client.read({ success: [getOp(keys.sequence)] });
      if (before > sequence) throw new Error("the watch is silent though there were writes");
      confirmed();
      before = numberOf(kvsOf(responses[0])[0]);
    }
  }

  void follow();
  return {
    current: () => (filled ? { routes, rollouts, sequence } : undefined),
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

/** Everything but the audit, at one revision. @throws EtcdError */
export async function readAll(
  client: EtcdClient,
  keys: Keys,
): Promise<Copy & { revision: bigint }> {
  const below = (prefix: string) => getOp(prefix, { rangeEnd: endOf(prefix) });
  const { responses, header } = await client.read({
    success: [getOp(keys.sequence), below(keys.routes), below(keys.rollouts)],
  });
  const [sequence, routes, rollouts] = responses.map(kvsOf);
  const name = (kv: KeyValue, prefix: string) => text(kv.key).slice(prefix.length);
  return {
    sequence: numberOf(sequence?.[0]),
    routes: new Map(routes?.map((kv) => [name(kv, keys.routes), openRoute(kv)])),
    rollouts: new Map(rollouts?.map((kv) => [name(kv, keys.rollouts), openRollout(kv)])),
    revision: header?.revision ?? 0n,
  };
}

/** Entries a page holds: one answer stays below a few megabytes. */
const page = 500n;

/** The audit after a number, oldest first, with the revision it was read at. @throws EtcdError */
export async function readEntries(
  client: EtcdClient,
  keys: Keys,
  after: bigint,
): Promise<{ entries: AuditEntry[]; revision: bigint }> {
  const entries: AuditEntry[] = [];
  for (let from = after + 1n; ; ) {
    const { kvs, more, revision } = await client.range(keys.auditOf(from), endOf(keys.audit), {
      limit: page,
    });
    for (const kv of kvs) entries.push(openEntry(kv).entry);
    if (!more) return { entries, revision };
    from = (entries.at(-1)?.sequence ?? from) + 1n;
  }
}
