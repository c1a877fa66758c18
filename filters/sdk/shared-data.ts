import { proxy_get_shared_data, proxy_set_shared_data } from "./env";
import { foundBytes, foundPtr, resetFound } from "./span";

/**
 * Shared data is a process-wide map that all workers see. The host creates a
 * missing key whatever compare-and-set number comes with it, so a number that
 * it never gives out makes "create only if still absent": numbers count up
 * from 1 for the whole process.
 */
const NEVER_ISSUED: u32 = 0xffffffff;

/** Its compare-and-set number. */
const cas: usize = memory.data(8, 8);

/** Reads a key. The status is OK, NOT_FOUND, or a failure of the host. */
export function readShared(key: usize, keyBytes: usize): i32 {
  resetFound();
  store<u32>(cas, NEVER_ISSUED);
  return proxy_get_shared_data(key, keyBytes, foundPtr, foundBytes, cas);
}

/** Writes the key read last, if nobody else did in between: OK or CAS_MISMATCH. */
export function writeShared(key: usize, keyBytes: usize, value: usize, valueBytes: usize): i32 {
  return proxy_set_shared_data(key, keyBytes, value, valueBytes, load<u32>(cas));
}
