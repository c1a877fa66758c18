import {
  bytes,
  type EtcdClient,
  fenceKey,
  getOp,
  kvsOf,
  numberOf,
  putOp,
  text,
  unchanged,
} from "../etcd/index.ts";
import type { Lease } from "./leader.ts";

/**
 * The lead as a key that is bound to an etcd lease. Taking it raises the fence
 * in the same transaction, so that from then on no write of an older leader passes.
 * @param ttlMs whole seconds; etcd takes no less than its election timeout
 */
export function createEtcdLease(client: EtcdClient, name: string, ttlMs: number): Lease {
  const key = `${client.prefix}leader`;
  const fence = fenceKey(client.prefix);
  let lease = 0n;

  return {
    async take() {
      const { responses } = await client.read({ success: [getOp(key), getOp(fence)] });
      const [holder, newest] = responses.map((answer) => kvsOf(answer)[0]);
      if (holder) return { holder: text(holder.value) };
      const next = numberOf(newest) + 1n;
      lease = await client.grant(Math.ceil(ttlMs / 1000));
      try {
        const { succeeded } = await client.txn({
          compare: [unchanged(key, 0n), unchanged(fence, newest?.modRevision ?? 0n)],
          success: [putOp(key, bytes(name), lease), putOp(fence, bytes(String(next)))],
        });
        if (succeeded) return { fence: next };
      } catch (error) {
        // It may have been granted: an unused lease must not block other replicas for a term.
        await client.revoke(lease).catch(() => {});
        throw error;
      }
      await client.revoke(lease);
      return { holder: "" };
    },
    async renew() {
      if ((await client.keepAlive(lease)) <= 0) return false;
      // Someone may have deleted the key by hand, and another replica have taken it.
      const { responses } = await client.read({ success: [getOp(key)] });
      return kvsOf(responses[0])[0]?.lease === lease;
    },
    async release() {
      await client.revoke(lease);
    },
  };
}
