/** Buckets of the sticky table: one per hundredth of a percent. */
export const bucketCount = 10_000;

/** Buckets of a weight in percent. */
export function toBuckets(percent: number): number {
  return Math.round(percent * 100);
}

/** Percent of a number of buckets. */
export function toPercent(buckets: number): number {
  return buckets / 100;
}
