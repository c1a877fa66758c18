import { createKubeClient, KubeUnreachableError, loadClusterConfig } from "../kube/index.ts";
import { createKubeStore } from "./kube/index.ts";
import { createLmdbStore } from "./lmdb.ts";
import { createMemoryStore } from "./memory.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

/**
 * Opens a store by its address: "memory", "lmdb:DIRECTORY" or "kube:NAMESPACE".
 * @throws StoreUnavailableError for an unknown kind or a store that cannot be used
 */
export function openStore(address: string): Store {
  if (address === "memory") return createMemoryStore();
  if (address.startsWith("lmdb:") && address.length > "lmdb:".length)
    return createLmdbStore(address.slice("lmdb:".length));
  if (address === "kube" || address.startsWith("kube:"))
    return openKubeStore(address.slice("kube:".length));
  throw new StoreUnavailableError(
    `unknown store "${address}": known are memory, lmdb:DIRECTORY and kube[:NAMESPACE]`,
  );
}

/** In the cluster that KUBECONFIG names, or that this process is a pod of. */
function openKubeStore(namespace: string): Store {
  try {
    const client = createKubeClient(loadClusterConfig());
    return createKubeStore({ client, namespace: namespace || client.namespace });
  } catch (error) {
    if (error instanceof KubeUnreachableError) throw new StoreUnavailableError(error.message);
    throw error;
  }
}
