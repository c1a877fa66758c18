import { addedSince, type Distribution, emptyDistribution, sumOf } from "./distribution.ts";

/** One counter of a route over all proxies. */
export interface ObservedCounter {
  readonly name: string;
  readonly label: string;
  /** Empty where the counter is not split by it. */
  readonly variant: string;
  readonly tier: string;
  readonly total: number;
}

/** One distribution of a route over all proxies. */
export interface ObservedDistribution {
  readonly name: string;
  readonly variant: string;
  readonly tier: string;
  readonly distribution: Distribution;
}

/**
 * All that the proxies reported about a route until a moment, or, from
 * {@link during}, between two moments. A value: it does not change afterwards.
 */
export interface Observation {
  readonly atMs: number;
  readonly counters: ReadonlyMap<string, ObservedCounter>;
  readonly distributions: ReadonlyMap<string, ObservedDistribution>;
}

/** What a counter or distribution must match; an absent member matches all. */
export interface Where {
  label?: string;
  variant?: string;
  tier?: string;
}

/** What was reported after `earlier` and until `later`, both of the same route and ledger. */
export function during(earlier: Observation, later: Observation): Observation {
  const counters = new Map<string, ObservedCounter>();
  for (const [key, each] of later.counters) {
    const before = earlier.counters.get(key)?.total ?? 0;
    // One that was silent for so long that it was forgotten begins anew.
    counters.set(key, { ...each, total: each.total < before ? each.total : each.total - before });
  }
  const distributions = new Map<string, ObservedDistribution>();
  for (const [key, each] of later.distributions) {
    const before = earlier.distributions.get(key)?.distribution ?? emptyDistribution;
    distributions.set(key, { ...each, distribution: addedSince(before, each.distribution) });
  }
  return { atMs: later.atMs, counters, distributions };
}

/** A part of an observation, of some tenants, taken out of the whole; what is measured of the whole alone stays. */
export function without(whole: Observation, parts: readonly Observation[]): Observation {
  const counters = new Map(whole.counters);
  const distributions = new Map(whole.distributions);
  parts.forEach((part, i) => {
    for (const [key, each] of part.counters)
      counters.set(`-${i} ${key}`, { ...each, total: -each.total });
    for (const { name, variant, distribution } of part.distributions.values()) {
      const same = [...distributions].filter(
        ([, each]) => each.name === name && each.variant === variant,
      );
      const [first] = same;
      if (first === undefined) continue;
      for (const [key] of same) distributions.delete(key);
      const left = addedSince(distribution, sumOf(same.map(([, each]) => each.distribution)));
      distributions.set(first[0], { ...first[1], distribution: left });
    }
  });
  return { atMs: whole.atMs, counters, distributions };
}

/** Sum of a counter over what matches; 0 where nothing was reported. */
export function totalOf({ counters }: Observation, name: string, where: Where = {}): number {
  let total = 0;
  for (const each of counters.values())
    if (each.name === name && matches(each, where) && (where.label ?? each.label) === each.label)
      total += each.total;
  return total;
}

/** Sum of a distribution over what matches; empty where nothing was reported. */
export function distributionIn(
  { distributions }: Observation,
  name: string,
  where: Omit<Where, "label"> = {},
): Distribution {
  return sumOf(
    [...distributions.values()]
      .filter((each) => each.name === name && matches(each, where))
      .map(({ distribution }) => distribution),
  );
}

/** Labels that a counter was reported with. */
export function labelsOf({ counters }: Observation, name: string): string[] {
  return [
    ...new Set(
      [...counters.values()].filter((each) => each.name === name).map((each) => each.label),
    ),
  ].sort();
}

function matches(each: { variant: string; tier: string }, where: Where): boolean {
  return (
    (where.variant ?? each.variant) === each.variant && (where.tier ?? each.tier) === each.tier
  );
}
