import { bucketOf, xxh64 } from "../format/xxh64";

/** The table's size: weights have two decimals of a percent. */
export const BUCKETS: u32 = 10000;

/** Bucket of a key. The same key, seed and table give the same variant on every worker and proxy. */
export function bucketOfKey(ptr: usize, bytes: usize, seed: u64): u32 {
  return bucketOf(xxh64(ptr, bytes, seed), BUCKETS);
}

/** Variant of a bucket: binary search for the first run that ends behind it. */
export function variantOfBucket(runs: usize, runCount: i32, bucket: u32): i32 {
  let low = 0;
  let high = runCount - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u32>(runs + ((<usize>middle) << 3)) > bucket) high = middle;
    else low = middle + 1;
  }
  return load<i32>(runs + ((<usize>low) << 3), 4);
}
