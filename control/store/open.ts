import { EtcdAddressError } from "../etcd/index.ts";
import { createKubeClient, KubeUnreachableError, loadClusterConfig } from "../kube/index.ts";
import { createEtcdStore } from "./etcd/store.ts";
import { createKubeStore, type KubeStoreOptions } from "./kube/index.ts";
import { createLmdbStore } from "./lmdb/index.ts";
import { createMemoryStore } from "./memory.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

/** How a store is opened. */
export interface OpenOptions {
  /** False refuses an lmdb store that is not there, instead of making it. Absent: true. */
  make?: boolean;
  /** With Kubernetes: takes routes whose kind is missing in the cluster for deleted. Absent: false. */
  acceptEmpty?: boolean;
  /** Is called with what a store that others write to cannot follow. Absent: nobody is. */
  log?(line: string, code?: string): void;
}

/**
 * Opens a store by its address: "memory", "lmdb:DIRECTORY", "etcd://HOST:PORT[,...]"
 * or "kube[:NAMESPACE]".
 * @param options make: false refuses an lmdb store that is not there, in place of making it;
 *   acceptEmpty: with Kubernetes, routes whose kind is gone from the cluster are gone
 * @throws StoreUnavailableError for an unknown kind or a store that cannot be used
 */
export function openStore(
  address: string,
  { make = true, acceptEmpty = false, log }: OpenOptions = {},
): Store {
  if (address === "memory") return createMemoryStore();
  if (address.startsWith("lmdb:") && address.length > "lmdb:".length)
    return createLmdbStore(address.slice("lmdb:".length), { make });
  if (address.startsWith("etcd://")) return openEtcd(address, log);
  if (address === "kube" || address.startsWith("kube:"))
    return openKube(address.slice("kube:".length), { acceptEmpty, ...(log ? { log } : {}) });
  throw new StoreUnavailableError(
    `unknown store "${address}": use memory, lmdb:DIRECTORY, etcd://HOST:PORT and kube[:NAMESPACE]`,
  );
}

function openEtcd(address: string, log: OpenOptions["log"]): Store {
  try {
    return createEtcdStore(address, log);
  } catch (error) {
    if (error instanceof EtcdAddressError) throw new StoreUnavailableError(error.message);
    throw error;
  }
}

/** In the cluster that KUBECONFIG names, or that this process is a pod of. */
function openKube(
  namespace: string,
  options: Pick<KubeStoreOptions, "acceptEmpty" | "log">,
): Store {
  try {
    const client = createKubeClient(loadClusterConfig());
    return createKubeStore({ client, namespace: namespace || client.namespace, ...options });
  } catch (error) {
    if (error instanceof KubeUnreachableError) throw new StoreUnavailableError(error.message);
    throw error;
  }
}
