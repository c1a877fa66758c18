import { CAS_MISMATCH, OK, readShared, reserve, sharedBytes, sharedPtr, writeShared } from "../sdk";
import { Bucket, bucketOf, eachBucket } from "./bucket";

// What the workers need of fleet-wide limits, handed to the one that reports: a
// list in shared data of fingerprints and how often their buckets were asked.
// Each worker adds its own once a second, whoever reports empties it.
//
//   u64 fingerprint | u64 requests, ...
const ENTRY: usize = 16;
const MOST_ENTRIES: usize = 1024;
const MOST_TRIES: i32 = 8;

const key: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0x2e, 0x6e]); // "weir.n"
const KEY: usize = 6;
const list: usize = FULL ? reserve(MOST_ENTRIES * ENTRY) : 0;
let count: usize = 0;

function readList(): void {
  readShared(key, KEY);
  count = min(sharedBytes / ENTRY, MOST_ENTRIES);
  if (count > 0) memory.copy(list, sharedPtr, count * ENTRY);
}

let adding: bool = false;

/** Adds what this worker's buckets were asked since the last time. */
export function handOverNeeds(): void {
  adding = false;
  eachBucket((bucket: Bucket): void => {
    if (bucket.wanted > 0) adding = true;
  });
  if (!adding) return;
  for (let i = 0; i < MOST_TRIES; i++) {
    readList();
    eachBucket(add);
    const status = writeShared(key, KEY, list, count * ENTRY);
    if (status == CAS_MISMATCH) continue;
    if (status == OK)
      eachBucket((bucket: Bucket): void => {
        bucket.wanted = 0;
      });
    return;
  }
}

function add(bucket: Bucket): void {
  if (bucket.wanted == 0) return;
  let at: usize = 0;
  while (at < count && load<u64>(list + at * ENTRY) != bucket.fingerprint) at++;
  if (at == count) {
    // A full list leaves the rest to the next second.
    if (count == MOST_ENTRIES) return;
    count++;
    store<u64>(list + at * ENTRY, bucket.fingerprint);
    store<u64>(list + at * ENTRY, 0, 8);
  }
  const entry = list + at * ENTRY;
  store<u64>(entry, load<u64>(entry, 8) + bucket.wanted, 8);
}

/** Takes over what all workers handed in: adds it to `asked` of this worker's buckets. */
export function collectNeeds(): void {
  for (let i = 0; i < MOST_TRIES; i++) {
    readList();
    if (count == 0) return;
    const status = writeShared(key, KEY, list, 0);
    if (status == CAS_MISMATCH) continue;
    if (status != OK) return;
    for (let at: usize = 0; at < count; at++) {
      const known = bucketOf(load<u64>(list + at * ENTRY));
      if (known == 0) continue;
      const bucket = changetype<Bucket>(known);
      bucket.asked += <u32>load<u64>(list + at * ENTRY, 8);
    }
    return;
  }
}
