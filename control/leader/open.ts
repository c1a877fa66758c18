import { createEtcdClient, parseEtcdAddress } from "../etcd/index.ts";
import { createKubeClient, loadClusterConfig } from "../kube/index.ts";
import { createLeader } from "./campaign.ts";
import { createEtcdLease } from "./etcd-lease.ts";
import { createKubeLease } from "./kube-lease.ts";
import { createSoleLeader, type Leader } from "./leader.ts";

/** A leader that died is followed after this time at the latest. */
const ttlMs = 6_000;

/**
 * The election that belongs to a store's address: in etcd for etcd, a Lease for
 * Kubernetes, none for stores of one process.
 * @param name of this replica, different from all others
 */
export function openLeader(address: string, name: string, termMs = ttlMs): Leader {
  if (address === "kube" || address.startsWith("kube:"))
    return openKube(address.slice("kube:".length), name, termMs);
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

/** The Lease "weir" in the control service's namespace. */
function openKube(namespace: string, name: string, termMs: number): Leader {
  const client = createKubeClient(loadClusterConfig());
  const lease = createKubeLease(client, namespace || client.namespace, "weir", name, termMs);
  const leader = createLeader(name, lease, { ttlMs: termMs });
  return {
    ...leader,
    async close() {
      await leader.close();
      client.close();
    },
  };
}
