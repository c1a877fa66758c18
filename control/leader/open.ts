import { createEtcdClient, parseEtcdAddress } from "../etcd/index.ts";
import { createLeader } from "./campaign.ts";
import { createEtcdLease } from "./etcd-lease.ts";
import { createSoleLeader, type Leader } from "./leader.ts";

/** A leader that died is followed after this time at the latest. */
const ttlMs = 6_000;

/**
 * The election that belongs to a store's address: in etcd for etcd, none for
 * stores of one process.
 * @param name of this replica, different from all others
 */
export function openLeader(address: string, name: string, termMs = ttlMs): Leader {
  if (!address.startsWith("etcd://")) return createSoleLeader(name);
  const client = createEtcdClient(parseEtcdAddress(address));
  const leader = createLeader(name, createEtcdLease(client, name, termMs), { ttlMs: termMs });
  return {
    ...leader,
    async close() {
      await leader.close();
      client.close();
    },
  };
}
