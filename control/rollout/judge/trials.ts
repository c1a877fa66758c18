import {
  countOf,
  type Distribution,
  distributionIn,
  histogramNames,
  type Observation,
  shareAbove,
  totalOf,
} from "../../report/index.ts";

/** Yes-or-no outcomes: how many of them were of the kind that is counted. */
export interface Tally {
  hits: number;
  trials: number;
}

/** The part of an observation that is about one variant, and some tiers where only those count. */
export function sideOf(
  { atMs, counters, distributions }: Observation,
  variant: string,
  tiers?: readonly string[],
): Observation {
  const counts = (each: { variant: string; tier: string }) =>
    each.variant === variant && (tiers === undefined || tiers.includes(each.tier));
  return {
    atMs,
    counters: new Map([...counters].filter(([, each]) => counts(each))),
    distributions: new Map([...distributions].filter(([, each]) => counts(each))),
  };
}

/**
 * The share that some labels have of a counter.
 * @param also a counter of others of them that are hits as well
 */
export function tally(
  side: Observation,
  name: string,
  labels: readonly string[],
  also?: string,
): Tally {
  const labelled = labels.reduce((sum, label) => sum + totalOf(side, name, { label }), 0);
  const trials = totalOf(side, name);
  // A stream that began before the window may fail within it.
  const hits = also === undefined ? labelled : Math.min(trials, labelled + totalOf(side, also));
  return { hits, trials };
}

/** A distribution with the number of answers that it stands for. */
export interface Sample {
  values: Distribution;
  answers: number;
}

export function sampleOf(side: Observation, name: string): Sample {
  const values = distributionIn(side, name);
  const count = countOf(values);
  if (name !== histogramNames.tokenGap) return { values, answers: count };
  // Gaps of one stream are slow or fast together: a stream counts once.
  const streams = countOf(distributionIn(side, histogramNames.timeToFirstToken));
  return { values, answers: streams > 0 ? Math.min(count, streams) : count };
}

/** How many of the answers lie above a value. */
export function above({ values, answers }: Sample, limit: number): Tally {
  return { hits: (shareAbove(values, limit) ?? 0) * answers, trials: answers };
}

/** How many of the answers lie below a value. */
export function below(sample: Sample, limit: number): Tally {
  return { hits: sample.answers - above(sample, limit).hits, trials: sample.answers };
}
