import { bytes, type EtcdClient, putOp, unchanged } from "../../etcd/index.ts";
import type { RequestOp } from "../../gen/etcdserverpb/rpc_pb.ts";
import type { Contents } from "../contents.ts";
import { StoreUnavailableError } from "../store.ts";
import { type Keys, sealEntry, sealRollout, sealRoute } from "./layout.ts";

/** Writes that a transaction may hold (etcd, --max-txn-ops), less one for the sequence. */
const maxOps = 100;
const noId = Buffer.alloc(16);

/**
 * Fills an empty keyspace. The sequence number is written last, with the last
 * piece: a restore that was cut off is made again from the start. The audit's last
 * entry comes with it: who watches sees nothing of it before all is there.
 * @throws StoreUnavailableError when something has been written here, EtcdError
 */
export async function restoreContents(
  client: EtcdClient,
  keys: Keys,
  { entries, routes, rollouts, sequence }: Contents,
): Promise<void> {
  const ops: RequestOp[] = [
    ...[...routes].map(([name, state]) => putOp(keys.route(name), sealRoute(state))),
    ...[...rollouts].map(([name, state]) => putOp(keys.rollout(name), sealRollout(state))),
    ...entries.flatMap((entry) => [
      putOp(keys.history(entry.name, entry.sequence), bytes("")),
      putOp(keys.auditOf(entry.sequence), sealEntry(noId, entry)),
    ]),
  ];
  for (let at = 0; at === 0 || at < ops.length; at += maxOps) {
    const last = at + maxOps >= ops.length;
    const { succeeded } = await client.txn({
      compare: [unchanged(keys.sequence, 0n)],
      success: [
        ...ops.slice(at, at + maxOps),
        ...(last ? [putOp(keys.sequence, bytes(String(sequence)))] : []),
      ],
    });
    if (!succeeded)
      throw new StoreUnavailableError("the store is not empty: restore into an empty store");
  }
}
