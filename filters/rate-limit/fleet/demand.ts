import {
  addTo,
  CAS_MISMATCH,
  clearTable,
  EXTENDED,
  found,
  OK,
  readShared,
  reserve,
  Table,
  valueIn,
  writeShared,
} from "../../sdk";
import { DEMAND, MAX_TRIES, PLAIN_KEY, plainKey } from "../../shared-table";
import { Bucket, bucketOf, eachBucket } from "../bucket/bucket";

// What the workers need of fleet-wide limits, handed to the one that reports: a
// list in shared data of fingerprints and how often their buckets were asked.
// Each worker adds its own once a second, whoever reports empties it.
//
//   u64 fingerprint | u64 requests, ...
const ENTRY: usize = 16;
const MAX_ENTRIES: usize = 1024;

const list: usize = EXTENDED ? reserve(MAX_ENTRIES * ENTRY) : 0;
let count: usize = 0;

function readList(): void {
  readShared(plainKey(DEMAND), PLAIN_KEY);
  count = min(found.bytes / ENTRY, MAX_ENTRIES);
  if (count > 0) memory.copy(list, found.ptr, count * ENTRY);
}

/** Place in the list, and 1, of each fingerprint in it. */
const places = changetype<Table>(memory.data(<i32>offsetof<Table>(), 8));
let adding: bool = false;
/** Number of the bucket at hand, of the one to begin with, and of the first that found no room: -1 where all did. */
let number: i32 = 0;
let turn: i32 = 0;
let leftOut: i32 = -1;
/** Whether those before the one to begin with are being added. */
let wrapped: bool = false;

/** Adds what this worker's buckets were asked since the last time; a full list leaves the rest to the next second, by turns. */
export function handOverNeeds(): void {
  adding = false;
  eachBucket((bucket: Bucket): void => {
    if (bucket.requestsSinceTick > 0) adding = true;
  });
  if (!adding) return;
  for (let i = 0; i < MAX_TRIES; i++) {
    readList();
    clearTable(places);
    for (let at: usize = 0; at < count; at++) addTo(places, load<u64>(list + at * ENTRY), at + 1);
    leftOut = -1;
    addAll(false);
    addAll(true);
    const status = writeShared(plainKey(DEMAND), PLAIN_KEY, list, count * ENTRY);
    if (status == CAS_MISMATCH) continue;
    if (status != OK) return;
    turn = max(leftOut, 0);
    eachBucket((bucket: Bucket): void => {
      const added = valueIn(places, bucket.fingerprint) != 0;
      if (added) bucket.requestsSinceTick = 0;
    });
    return;
  }
}

function addAll(again: bool): void {
  wrapped = again;
  number = 0;
  eachBucket(add);
}

function add(bucket: Bucket): void {
  const own = number++;
  if (bucket.requestsSinceTick == 0 || own < turn != wrapped) return;
  let place = valueIn(places, bucket.fingerprint);
  if (place == 0) {
    if (count == MAX_ENTRIES) {
      if (leftOut < 0) leftOut = own;
      return;
    }
    const entry = list + count * ENTRY;
    store<u64>(entry, bucket.fingerprint);
    store<u64>(entry, 0, 8);
    place = ++count;
    addTo(places, bucket.fingerprint, place);
  }
  const requests = list + (place - 1) * ENTRY + 8;
  store<u64>(requests, load<u64>(requests) + bucket.requestsSinceTick);
}

/** Takes over what all workers handed in: adds it to `requestsSinceReport` of this worker's buckets. */
export function collectNeeds(): void {
  for (let i = 0; i < MAX_TRIES; i++) {
    readList();
    if (count == 0) return;
    const status = writeShared(plainKey(DEMAND), PLAIN_KEY, list, 0);
    if (status == CAS_MISMATCH) continue;
    if (status != OK) return;
    for (let at: usize = 0; at < count; at++) {
      const bucket = bucketOf(load<u64>(list + at * ENTRY));
      if (bucket === null) continue;
      bucket.requestsSinceReport += <u32>load<u64>(list + at * ENTRY, 8);
    }
    return;
  }
}
