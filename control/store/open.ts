import { EtcdAddressError } from "../etcd/index.ts";
import { createEtcdStore } from "./etcd/store.ts";
import { createLmdbStore } from "./lmdb.ts";
import { createMemoryStore } from "./memory.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

/**
 * Opens a store by its address: "memory", "lmdb:DIRECTORY" or "etcd://HOST:PORT[,...]".
 * @throws StoreUnavailableError for an unknown kind or a store that cannot be used
 */
export function openStore(address: string): Store {
  if (address === "memory") return createMemoryStore();
  if (address.startsWith("lmdb:") && address.length > "lmdb:".length)
    return createLmdbStore(address.slice("lmdb:".length));
  if (address.startsWith("etcd://")) return openEtcd(address);
  throw new StoreUnavailableError(
    `unknown store "${address}": known are memory, lmdb:DIRECTORY and etcd://HOST:PORT`,
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
