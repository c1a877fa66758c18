// XXH64 as specified by its author (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
const PRIME1: u64 = 0x9e3779b185ebca87;
const PRIME2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME3: u64 = 0x165667b19e3779f9;
const PRIME4: u64 = 0x85ebca77c2b2ae63;
const PRIME5: u64 = 0x27d4eb2f165667c5;

function round(lane: u64, input: u64): u64 {
  return rotl<u64>(lane + input * PRIME2, 31) * PRIME1;
}

function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME1 + PRIME4;
}

/** 64-bit hash of a byte range. */
export function xxh64(ptr: usize, bytes: usize, seed: u64): u64 {
  let at = ptr;
  const end = ptr + bytes;
  let hash: u64;
  if (bytes >= 32) {
    let lane1 = seed + PRIME1 + PRIME2;
    let lane2 = seed + PRIME2;
    let lane3 = seed;
    let lane4 = seed - PRIME1;
    for (; at + 32 <= end; at += 32) {
      lane1 = round(lane1, load<u64>(at));
      lane2 = round(lane2, load<u64>(at, 8));
      lane3 = round(lane3, load<u64>(at, 16));
      lane4 = round(lane4, load<u64>(at, 24));
    }
    hash = rotl<u64>(lane1, 1) + rotl<u64>(lane2, 7) + rotl<u64>(lane3, 12) + rotl<u64>(lane4, 18);
    hash = merge(merge(merge(merge(hash, lane1), lane2), lane3), lane4);
  } else {
    hash = seed + PRIME5;
  }
  hash += <u64>bytes;
  for (; at + 8 <= end; at += 8)
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME1 + PRIME4;
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME1), 23) * PRIME2 + PRIME3;
    at += 4;
  }
  for (; at < end; at++) hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME5), 11) * PRIME1;
  hash = (hash ^ (hash >> 33)) * PRIME2;
  hash = (hash ^ (hash >> 29)) * PRIME3;
  return hash ^ (hash >> 32);
}

/** Spreads a hash over `buckets` without the bias of a modulo: its high half, scaled. */
export function bucketOf(hash: u64, buckets: u32): u32 {
  return <u32>(((hash >> 32) * <u64>buckets) >> 32);
}
