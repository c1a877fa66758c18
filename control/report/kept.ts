import type { Observation, ObservedCounter, ObservedDistribution } from "./observation.ts";

/** What a counter held at a moment. */
export interface Sample {
  atMs: number;
  total: number;
}

export interface CounterSeries extends Omit<ObservedCounter, "total"> {
  total: number;
  samples: Sample[];
  reportedMs: number;
}

export interface HistogramSeries extends Omit<ObservedDistribution, "distribution"> {
  zeros: number;
  buckets: Map<number, number>;
  reportedMs: number;
}

/** What is kept of a route, or of one tenant of it. */
export interface SeriesSet {
  counters: Map<string, CounterSeries>;
  histograms: Map<string, HistogramSeries>;
}

export interface RouteSeries extends SeriesSet {
  /** Reported responses, by variant and node. */
  voices: Map<string, { total: number; reportedMs: number }>;
  tenants: Map<string, SeriesSet>;
}

/** Rates are over the last ten seconds. */
export const windowMs = 10_000;

export const emptySet = (): SeriesSet => ({ counters: new Map(), histograms: new Map() });
export const emptyRoute = (): RouteSeries => ({
  ...emptySet(),
  tenants: new Map(),
  voices: new Map(),
});

export const isEmpty = ({ counters, histograms }: SeriesSet) =>
  counters.size + histograms.size === 0;

/** Drops series without a report since a moment. @returns how many series it was */
export function dropSilent({ counters, histograms }: SeriesSet, sinceMs: number): number {
  let dropped = 0;
  for (const map of [counters, histograms])
    for (const [key, { reportedMs }] of map)
      if (reportedMs < sinceMs) {
        map.delete(key);
        dropped++;
      }
  return dropped;
}

export function observationOf(series: SeriesSet | undefined, atMs: number): Observation {
  const { counters = [], histograms = [] } = series ?? {};
  return {
    atMs,
    counters: new Map([...counters].map(([key, each]) => [key, observed(each)])),
    distributions: new Map([...histograms].map(([key, each]) => [key, copied(each)])),
  };
}

function observed({ name, label, variant, tier, total }: CounterSeries): ObservedCounter {
  return { name, label, variant, tier, total };
}

function copied({ name, variant, tier, zeros, buckets }: HistogramSeries): ObservedDistribution {
  return { name, variant, tier, distribution: { zeros, buckets: new Map(buckets) } };
}

/** Increase per second over the window; 0 after a window without reports. */
export function rate(samples: readonly Sample[], nowMs: number): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || nowMs - last.atMs > windowMs) return 0;
  const seconds = (last.atMs - first.atMs) / 1000;
  return seconds > 0 ? (last.total - first.total) / seconds : 0;
}
