/**
 * A distribution in the logarithmic buckets of message Histogram: bucket i
 * holds gamma^(i-1) < v <= gamma^i. Sums of distributions are distributions,
 * and every quantile is right to 2 %.
 */
export interface Distribution {
  readonly zeros: number;
  readonly buckets: ReadonlyMap<number, number>;
}

/** DDSketch's base at a relative accuracy of 2 %. */
const gamma = 1.02 / 0.98;

/** A distribution without values. */
export const emptyDistribution: Distribution = { zeros: 0, buckets: new Map() };

/** Number of the bucket that holds a value above 0. */
export function bucketOf(value: number): number {
  return Math.ceil(Math.log(value) / Math.log(gamma));
}

/** The value a bucket stands for: at most 2 % from every value in it. */
export function valueOfBucket(index: number): number {
  return (2 * gamma ** index) / (gamma + 1);
}

/** The distribution of these values. */
export function distributionOf(values: Iterable<number>): Distribution {
  let zeros = 0;
  const buckets = new Map<number, number>();
  for (const value of values)
    if (value <= 0) zeros++;
    else buckets.set(bucketOf(value), (buckets.get(bucketOf(value)) ?? 0) + 1);
  return { zeros, buckets };
}

/** How many values a distribution has. */
export function countOf({ zeros, buckets }: Distribution): number {
  let count = zeros;
  for (const each of buckets.values()) count += each;
  return count;
}

/** The distribution of all values of some distributions. */
export function sumOf(distributions: Iterable<Distribution>): Distribution {
  let zeros = 0;
  const buckets = new Map<number, number>();
  for (const each of distributions) {
    zeros += each.zeros;
    for (const [index, count] of each.buckets)
      buckets.set(index, (buckets.get(index) ?? 0) + count);
  }
  return { zeros, buckets };
}

/** What came to a cumulative distribution between two looks at it. */
export function addedSince(earlier: Distribution, later: Distribution): Distribution {
  const buckets = new Map<number, number>();
  for (const [index, count] of later.buckets) {
    const added = count - (earlier.buckets.get(index) ?? 0);
    if (added > 0) buckets.set(index, added);
  }
  return { zeros: Math.max(0, later.zeros - earlier.zeros), buckets };
}

/** The value that a share `q` (0 to 1) of the values do not exceed; undefined when there are none. */
export function quantile(distribution: Distribution, q: number): number | undefined {
  const count = countOf(distribution);
  if (count === 0) return undefined;
  const rank = Math.min(count - 1, Math.max(0, Math.ceil(q * count) - 1));
  let below = distribution.zeros;
  if (rank < below) return 0;
  for (const index of [...distribution.buckets.keys()].sort((a, b) => a - b)) {
    below += distribution.buckets.get(index) ?? 0;
    if (rank < below) return valueOfBucket(index);
  }
  return undefined;
}

/** Mean of the values, right to 2 %; undefined when there are none. */
export function mean(distribution: Distribution): number | undefined {
  const count = countOf(distribution);
  if (count === 0) return undefined;
  let total = 0;
  for (const [index, each] of distribution.buckets) total += each * valueOfBucket(index);
  return total / count;
}

/** Share of the values above a limit, 0 to 1; undefined when there are none. */
export function shareAbove(distribution: Distribution, limit: number): number | undefined {
  const count = countOf(distribution);
  if (count === 0) return undefined;
  let above = 0;
  for (const [index, each] of distribution.buckets) if (valueOfBucket(index) > limit) above += each;
  return above / count;
}
