import { allocate } from "../sdk";

// DDSketch's logarithmic buckets at 2 % relative accuracy, as message Histogram
// tells them: bucket i holds gamma^(i-1) < v <= gamma^i with gamma = 1.02/0.98.
// What lies outside counts in the first or last bucket: 0.006 to 4,700,000.
export const MIN_BUCKET: i32 = -128;
export const BUCKETS: i32 = 512;

const GAMMA: f64 = 1.02 / 0.98;

/** Upper limits of the buckets. */
const limits: usize = memory.data(4096, 8);

/** Counts since the last merge: u32 zeros | u32 any | u32 x BUCKETS. */
const COUNTS: usize = 8;
const HISTOGRAM_BYTES: usize = COUNTS + ((<usize>BUCKETS) << 2);

fillLimits();
function fillLimits(): void {
  let limit: f64 = 1;
  for (let i = -MIN_BUCKET; i < BUCKETS; i++) {
    store<f64>(limits + ((<usize>i) << 3), limit);
    limit *= GAMMA;
  }
  limit = 1;
  for (let i = -MIN_BUCKET; i >= 0; i--) {
    store<f64>(limits + ((<usize>i) << 3), limit);
    limit /= GAMMA;
  }
}

/** A histogram of this worker; kept for the life of the VM. */
export function createHistogram(): usize {
  const histogram = allocate(HISTOGRAM_BYTES);
  memory.fill(histogram, 0, HISTOGRAM_BYTES);
  return histogram;
}

/** Counts a value; what is not above 0 counts as 0. */
export function countValue(histogram: usize, value: f64): void {
  store<u32>(histogram, 1, 4);
  if (!(value > 0)) {
    store<u32>(histogram, load<u32>(histogram) + 1);
    return;
  }
  let low = 0;
  let high = BUCKETS - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<f64>(limits + ((<usize>middle) << 3)) < value) low = middle + 1;
    else high = middle;
  }
  const slot = histogram + COUNTS + ((<usize>low) << 2);
  store<u32>(slot, load<u32>(slot) + 1);
}

export function hasValues(histogram: usize): bool {
  return load<u32>(histogram, 4) != 0;
}
export function zerosOf(histogram: usize): u32 {
  return load<u32>(histogram);
}
/** Count of the bucket in place `i`, which is number MIN_BUCKET + i. */
export function countAt(histogram: usize, i: i32): u32 {
  return load<u32>(histogram + COUNTS + ((<usize>i) << 2));
}
export function clearHistogram(histogram: usize): void {
  memory.fill(histogram, 0, HISTOGRAM_BYTES);
}
