import { xxh64 } from "../format/xxh64";
import { findHeader, valueBytes, valuePtr } from "../sdk";
import { requestId } from "./request-id";

const NS_PER_S: u64 = 1_000_000_000;
const MAX_RETRY_S: u64 = 60;

/**
 * Whole seconds for Retry-After: rounded up, a little later for some so that
 * they do not all come back at once, and within the 1 to 60 that clients obey
 * (openai-node takes anything else for its own back-off).
 *
 * @param seed tells apart those who shall not come back together
 */
export function retryAfterS(waitNs: u64, seed: u64): u64 {
  const seconds = min(max((waitNs + NS_PER_S - 1) / NS_PER_S, 1), MAX_RETRY_S);
  const spread = seconds / 4 + 1;
  return min(seconds + (seed % (spread + 1)), MAX_RETRY_S);
}

/** A seed of the request at hand: of its id, which proxies keep and log. */
export function requestSeed(): u64 {
  const row = findHeader(requestId);
  return row == 0 ? 0 : xxh64(valuePtr(row), valueBytes(row), 1) >> 32;
}
