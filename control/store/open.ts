import { EtcdAddressError } from "../etcd/index.ts";
import { createKubeClient, KubeUnreachableError, loadClusterConfig } from "../kube/index.ts";
import { createEtcdStore } from "./etcd/store.ts";
import { createKubeStore } from "./kube/index.ts";
import { createLmdbStore } from "./lmdb.ts";
import { createMemoryStore } from "./memory.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

/**
 * Opens a store by its address: "memory", "lmdb:DIRECTORY", "etcd://HOST:PORT[,...]"
 * or "kube[:NAMESPACE]".
 * @throws StoreUnavailableError for an unknown kind or a store that cannot be used
 */
export function openStore(address: string): Store {
  if (address === "memory") return createMemoryStore();
  if (address.startsWith("lmdb:") && address.length > "lmdb:".length)
    return createLmdbStore(address.slice("lmdb:".length));
  if (address.startsWith("etcd://")) return openEtcd(address);
  if (address === "kube" || address.startsWith("kube:"))
    return openKube(address.slice("kube:".length));
  throw new StoreUnavailableError(
    `unknown store "${address}": known are memory, lmdb:DIRECTORY, etcd://HOST:PORT and kube[:NAMESPACE]`,
  );
}

function openEtcd(address: string): Store {
  try {
    return createEtcdStore(address);
  } catch (error) {
    if (error instanceof EtcdAddressError) throw new StoreUnavailableError(error.message);
    throw error;
  }
}

/** In the cluster that KUBECONFIG names, or that this process is a pod of. */
function openKube(namespace: string): Store {
  try {
    const client = createKubeClient(loadClusterConfig());
    return createKubeStore({ client, namespace: namespace || client.namespace });
  } catch (error) {
    if (error instanceof KubeUnreachableError) throw new StoreUnavailableError(error.message);
    throw error;
  }
}
