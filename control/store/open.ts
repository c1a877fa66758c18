import { createLmdbStore } from "./lmdb.ts";
import { createMemoryStore } from "./memory.ts";
import { type Store, StoreUnavailableError } from "./store.ts";

/**
 * Opens a store by its address: "memory" or "lmdb:DIRECTORY".
 * @throws StoreUnavailableError for an unknown kind or a store that cannot be used
 */
export function openStore(address: string): Store {
  if (address === "memory") return createMemoryStore();
  if (address.startsWith("lmdb:") && address.length > "lmdb:".length)
    return createLmdbStore(address.slice("lmdb:".length));
  throw new StoreUnavailableError(
    `unknown store "${address}": known are memory and lmdb:DIRECTORY`,
  );
}
