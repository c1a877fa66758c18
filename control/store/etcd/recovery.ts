import { type EtcdClient, endOf, getOp, kvsOf, text } from "../../etcd/index.ts";
import { type KeyValue, RangeRequest_SortOrder } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { AuditEntry, RouteState } from "../../gen/weir/v1/service_pb.ts";
import { errorText } from "../../text/error-text.ts";
import type { Copy } from "./copy.ts";
import { type Keys, openEntry, openRollout, openRoute, sequenceIn } from "./layout.ts";

/** Reads keys that may hold anything: a damaged one is as it was last known, and touches no other. */
export interface Recovery {
  /** What a key below `routes/` says, or said last. @throws EtcdError */
  route(kv: KeyValue): Promise<RouteState | undefined>;
  rollout(kv: KeyValue): Promise<RolloutState | undefined>;
  /** Notes a key that cannot be read, and why. */
  note(kv: KeyValue, message: string): void;
  /** These are all keys below a prefix: others are not damaged anymore. */
  seen(prefix: string, kvs: readonly KeyValue[]): void;
  /** Keys that cannot be read, and why. */
  damaged(): ReadonlyMap<string, string>;
}

/** Entries of a route looked through, newest first, for its last state. */
const maxLooked = 50n;
/** More damaged keys than this are not told apart. */
const maxDamaged = 1_000;

interface Found {
  revision: bigint;
  message: string;
  /** From the audit, read once. */
  last?: Promise<AuditEntry | undefined>;
}

/** @param copy what this process knows by itself; undefined before it read anything */
export function createRecovery(
  client: EtcdClient,
  keys: Keys,
  copy: () => Copy | undefined,
  log: (line: string, code: string) => void,
): Recovery {
  const damaged = new Map<string, Found>();

  function note(kv: KeyValue, message: string): Found {
    const key = shown(kv.key);
    const known = damaged.get(key);
    if (known?.revision === kv.modRevision) return known;
    const found = { revision: kv.modRevision, message };
    if (known === undefined && damaged.size >= maxDamaged) return found;
    damaged.set(key, found);
    log(
      `${key} in etcd is damaged: ${message}; the last known version stays in use until it is applied again or deleted`,
      "store-damaged",
    );
    return found;
  }

  function whole(kv: KeyValue): void {
    const key = shown(kv.key);
    if (damaged.delete(key)) log(`${key} in etcd is readable again`, "store-damaged");
  }

  /** The newest entry of a route's own audit that tells of it. */
  async function lastEntry(
    name: string,
    tells: (entry: AuditEntry) => boolean,
  ): Promise<AuditEntry | undefined> {
    const prefix = keys.historyOf(name);
    const { kvs } = await client.range(prefix, endOf(prefix), {
      limit: maxLooked,
      sortOrder: RangeRequest_SortOrder.DESCEND,
      keysOnly: true,
    });
    for (const { key } of kvs) {
      const sequence = sequenceIn(text(key).slice(prefix.length));
      if (sequence === undefined) continue;
      const { responses } = await client.read({ success: [getOp(keys.auditOf(sequence))] });
      const [kv] = kvsOf(responses[0]);
      const entry = kv && openEntry(kv).entry;
      if (entry?.name === name && tells(entry)) return entry;
    }
    return undefined;
  }

  async function opened<T>(
    kv: KeyValue,
    prefix: string,
    open: (kv: KeyValue, name: string) => T,
    known: (copy: Copy, name: string) => T | undefined,
    tells: (entry: AuditEntry) => boolean,
    stateIn: (entry: AuditEntry) => T | undefined,
  ): Promise<T | undefined> {
    const name = text(kv.key).slice(prefix.length);
    try {
      const state = open(kv, name);
      whole(kv);
      return state;
    } catch (error) {
      const found = note(kv, errorText(error));
      const last = copy();
      if (last) return known(last, name);
      found.last ??= lastEntry(name, tells);
      found.last.catch(() => delete found.last);
      const entry = await found.last;
      return entry && stateIn(entry);
    }
  }

  return {
    route: (kv) =>
      opened(
        kv,
        keys.routes,
        openRoute,
        ({ routes }, name) => routes.get(name),
        ({ before, after }) => (before ?? after) !== undefined,
        ({ after }) => after,
      ),
    rollout: (kv) =>
      opened(
        kv,
        keys.rollouts,
        openRollout,
        ({ rollouts }, name) => rollouts.get(name),
        ({ rolloutAfter }) => rolloutAfter !== undefined,
        ({ rolloutAfter }) => rolloutAfter,
      ),
    note,
    seen(prefix, kvs) {
      const there = new Set(kvs.map(({ key }) => shown(key)));
      for (const key of damaged.keys())
        if (key.startsWith(shown(Buffer.from(prefix))) && !there.has(key)) damaged.delete(key);
    },
    damaged: () => new Map([...damaged].map(([key, { message }]) => [key, message])),
  };
}

/** A key for people: what is no plain character is escaped, and no more is shown than a line holds. */
function shown(key: Uint8Array): string {
  const plain = Buffer.from(key).toString("latin1");
  return plain.replace(/[^\x21-\x7e]/g, (each) => encodeURIComponent(each)).slice(0, 300);
}
