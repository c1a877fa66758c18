import {
  CAS_MISMATCH,
  found,
  literal,
  OK,
  readShared,
  Text,
  textBytes,
  textPtr,
  writeShared,
} from "../sdk";

// One worker speaks for the proxy. Who it is stands in shared data with a time
// until which it holds; another takes over when that has passed, or at once where
// it runs a later configuration: a module that was replaced lives on with its
// streams, and what it would tell is of the past.
const LEASE_NS: u64 = 3_000_000_000;
const MAX_TRIES: i32 = 4;

let reporterKey = literal("weir.reporter");
const epochKey = literal("weir.epoch");

// u64 number of who reports | until when | numbers given | newest revision | first number of it
const RECORD_BYTES: i32 = 40;
const record: usize = memory.data(RECORD_BYTES, 8);
const value: usize = memory.data(8, 8);

/** Number of this worker with its newest configuration; 0: none is given yet. */
let self: u64 = 0;
/** The first number that was given for its revision. */
let first: u64 = 0;
let revision: u64 = 0;

/** Modules of one proxy share its data: each has a reporter of its own, known by a key of its own. */
export function electUnder(key: Text): void {
  reporterKey = key;
}

/** A configuration, by the hash of its revision, is the newest that this worker has. */
export function configured(hash: u64): void {
  revision = hash;
  self = 0;
}

/** Whether this worker speaks for the proxy now; renews its lease when it does. */
export function isReporter(nowNs: u64): bool {
  readShared(textPtr(reporterKey), textBytes(reporterKey));
  if (found.bytes == RECORD_BYTES) memory.copy(record, found.ptr, RECORD_BYTES);
  let own = self;
  if (own == 0) {
    own = load<u64>(record, 16) + 1;
    store<u64>(record, own, 16);
    if (load<u64>(record, 24) != revision) {
      store<u64>(record, revision, 24);
      store<u64>(record, own, 32);
    }
    first = load<u64>(record, 32);
  }
  const holder = load<u64>(record);
  const until = load<u64>(record, 8);
  const held = holder != own && holder >= first && nowNs < until && until - nowNs <= LEASE_NS;
  if (!held) {
    store<u64>(record, own);
    store<u64>(record, nowNs + LEASE_NS, 8);
  } else if (self == own) return false;
  if (writeShared(textPtr(reporterKey), textBytes(reporterKey), record, RECORD_BYTES) != OK)
    return false;
  self = own;
  return !held;
}

let knownEpoch: u64 = 0;

/** When the proxy's counters began to count, in nanoseconds; the same for all its workers. */
export function epoch(nowNs: u64): u64 {
  for (let i = 0; knownEpoch == 0 && i < MAX_TRIES; i++) {
    if (readShared(textPtr(epochKey), textBytes(epochKey)) == OK && found.bytes == 8) {
      knownEpoch = load<u64>(found.ptr);
    } else {
      store<u64>(value, nowNs);
      const status = writeShared(textPtr(epochKey), textBytes(epochKey), value, 8);
      if (status == OK) knownEpoch = nowNs;
      else if (status != CAS_MISMATCH) return 0;
    }
  }
  return knownEpoch;
}
