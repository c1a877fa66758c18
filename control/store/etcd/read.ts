import { type EtcdClient, endOf, getOp, kvsOf, numberOf, text } from "../../etcd/index.ts";
import type { KeyValue } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { AuditEntry } from "../../gen/weir/v1/service_pb.ts";
import type { Copy } from "./copy.ts";
import { isDamaged, type Keys, openEntry } from "./layout.ts";
import type { Recovery } from "./recovery.ts";

/** Everything but the audit, at one revision. @throws EtcdError */
export async function readAll(
  client: EtcdClient,
  keys: Keys,
  recovery: Recovery,
): Promise<Copy & { revision: bigint }> {
  const below = (prefix: string) => getOp(prefix, { rangeEnd: endOf(prefix) });
  const { responses, header } = await client.read({
    success: [getOp(keys.sequence), below(keys.routes), below(keys.rollouts)],
  });
  const [sequence, routes = [], rollouts = []] = responses.map(kvsOf);
  recovery.seen(keys.routes, routes);
  recovery.seen(keys.rollouts, rollouts);
  return {
    sequence: numberOf(sequence?.[0]),
    routes: await byName(routes, keys.routes, recovery.route),
    rollouts: await byName(rollouts, keys.rollouts, recovery.rollout),
    revision: header?.revision ?? 0n,
  };
}

async function byName<T>(
  kvs: readonly KeyValue[],
  prefix: string,
  read: (kv: KeyValue) => Promise<T | undefined>,
): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  for (const kv of kvs) {
    const value = await read(kv);
    if (value !== undefined) found.set(text(kv.key).slice(prefix.length), value);
  }
  return found;
}

/** Number of the newest write. @throws EtcdError */
export async function newestSequence(client: EtcdClient, keys: Keys): Promise<bigint> {
  const { responses } = await client.read({ success: [getOp(keys.sequence)] });
  return numberOf(kvsOf(responses[0])[0]);
}

/** Entries a page holds: one answer stays below a few megabytes. */
const page = 500n;

/**
 * The audit after a number and up to another, oldest first, with the revision it was read
 * at. An entry that cannot be read has its number and says so. What someone put behind
 * the newest write is not read. @throws EtcdError
 */
export async function readEntries(
  client: EtcdClient,
  keys: Keys,
  after: bigint,
  until: bigint,
  recovery: Recovery,
): Promise<{ entries: AuditEntry[]; revision: bigint }> {
  const entries: AuditEntry[] = [];
  const end = Buffer.from(keys.auditOf(until + 1n));
  let from: Uint8Array = Buffer.from(keys.auditOf(after + 1n));
  for (;;) {
    const { kvs, more, revision } = await client.range(from, end, { limit: page });
    for (const kv of kvs) {
      const { entry } = openEntry(kv);
      if (isDamaged(entry)) recovery.note(kv, entry.reason);
      // A key of another form has no number.
      if (entry.sequence > 0n) entries.push(entry);
    }
    const last = kvs.at(-1);
    if (!more || last === undefined) return { entries, revision };
    from = Buffer.concat([last.key, Buffer.of(0)]);
  }
}
