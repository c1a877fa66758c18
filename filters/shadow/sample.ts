import { bucketOf, xxh64 } from "../format/xxh64";

/** Whether the request of this id is in the share (of 10,000). The same id is always in or out. */
export function isSampled(idPtr: usize, idBytes: usize, seed: u64, share: u32): bool {
  return bucketOf(xxh64(idPtr, idBytes, seed), 10000) < share;
}
