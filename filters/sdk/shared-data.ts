import { proxy_get_shared_data, proxy_set_shared_data } from "./env";
import { outPtr, outSize } from "./memory";
import { OK } from "./status";

/**
 * Shared data is a process-wide map that all workers see. The host creates a
 * missing key whatever compare-and-set number comes with it, so a number that
 * it never gives out makes "create only if still absent": numbers count up
 * from 1 for the whole process.
 */
const NEVER_ISSUED: u32 = 0xffffffff;

const outCas: usize = memory.data(8, 8);

/** Pointer, size and compare-and-set number of the last successful read. */
export let sharedPtr: usize = 0;

/** Length of the value read last, in bytes. */
export let sharedBytes: usize = 0;
let sharedCas: u32 = NEVER_ISSUED;

/** Reads a key. The status is OK, NOT_FOUND, or a failure of the host. */
export function readShared(key: usize, keyBytes: usize): i32 {
  sharedPtr = 0;
  sharedBytes = 0;
  sharedCas = NEVER_ISSUED;
  store<u32>(outSize, 0);
  const status = proxy_get_shared_data(key, keyBytes, outPtr, outSize, outCas);
  if (status == OK) {
    sharedPtr = load<u32>(outPtr);
    sharedBytes = load<u32>(outSize);
    sharedCas = load<u32>(outCas);
  }
  return status;
}

/** Writes the key read last, if nobody else did in between: OK or CAS_MISMATCH. */
export function writeShared(key: usize, keyBytes: usize, value: usize, valueBytes: usize): i32 {
  return proxy_set_shared_data(key, keyBytes, value, valueBytes, sharedCas);
}
