import {
  CAS_MISMATCH,
  literal,
  OK,
  readShared,
  sharedBytes,
  sharedPtr,
  Text,
  textBytes,
  textPtr,
  writeShared,
} from "../sdk";

// One worker speaks for the proxy. Who it is stands in shared data with a time
// until which it holds; another takes over when that has passed.
const LEASE_NS: u64 = 3_000_000_000;
const MOST_TRIES: i32 = 4;

let reporterKey = literal("weir.reporter");
const workersKey = literal("weir.workers");
const epochKey = literal("weir.epoch");
const value: usize = memory.data(16, 8);

let self: u64 = 0;

/** Modules of one proxy share its data: each has a reporter of its own, known by a key of its own. */
export function electUnder(key: Text): void {
  reporterKey = key;
}

/** Number of this worker, given out by shared data on first use; 0 when that fails. */
function worker(): u64 {
  for (let i = 0; self == 0 && i < MOST_TRIES; i++) {
    readShared(textPtr(workersKey), textBytes(workersKey));
    const taken = sharedBytes == 8 ? load<u64>(sharedPtr) : 0;
    store<u64>(value, taken + 1);
    if (writeShared(textPtr(workersKey), textBytes(workersKey), value, 8) == OK) self = taken + 1;
  }
  return self;
}

/** Whether this worker speaks for the proxy now; renews its lease when it does. */
export function isReporter(nowNs: u64): bool {
  if (worker() == 0) return false;
  readShared(textPtr(reporterKey), textBytes(reporterKey));
  if (sharedBytes == 16) {
    const until = load<u64>(sharedPtr, 8);
    const held = nowNs < until && until - nowNs <= LEASE_NS;
    if (held && load<u64>(sharedPtr) != self) return false;
  }
  store<u64>(value, self);
  store<u64>(value, nowNs + LEASE_NS, 8);
  return writeShared(textPtr(reporterKey), textBytes(reporterKey), value, 16) == OK;
}

let knownEpoch: u64 = 0;

/** When the proxy's counters began to count, in nanoseconds; the same for all its workers. */
export function epoch(nowNs: u64): u64 {
  for (let i = 0; knownEpoch == 0 && i < MOST_TRIES; i++) {
    if (readShared(textPtr(epochKey), textBytes(epochKey)) == OK && sharedBytes == 8) {
      knownEpoch = load<u64>(sharedPtr);
    } else {
      store<u64>(value, nowNs);
      const status = writeShared(textPtr(epochKey), textBytes(epochKey), value, 8);
      if (status == OK) knownEpoch = nowNs;
      else if (status != CAS_MISMATCH) return 0;
    }
  }
  return knownEpoch;
}
