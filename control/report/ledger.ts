import type { Counter, Histogram, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import { createIncreases, zerosBucket } from "./increases.ts";
import type { Observation, ObservedCounter, ObservedDistribution } from "./observation.ts";

/** Counts of one kind, by label: e.g. requests by variant. */
export interface Count {
  label: string;
  total: number;
  perSecond: number;
}

/** What the proxies' filters report, summed over all of them, kept in memory. */
export interface Ledger {
  /** Takes a report; values only ever grow within an epoch. */
  add(report: ReportRequest): void;
  /** Counts of one counter of a route over all proxies, by label. */
  counts(name: string, route: string): Count[];
  /** Routes that were reported. */
  routes(): string[];
  /** Everything known of a route now; two of them tell what came in between. */
  observation(route: string): Observation;
}

interface Sample {
  atMs: number;
  total: number;
}

interface CounterSeries {
  name: string;
  label: string;
  variant: string;
  tier: string;
  total: number;
  samples: Sample[];
}

interface HistogramSeries {
  name: string;
  variant: string;
  tier: string;
  zeros: number;
  buckets: Map<number, number>;
}

interface RouteSeries {
  counters: Map<string, CounterSeries>;
  histograms: Map<string, HistogramSeries>;
}

/** Rates are over the last ten seconds. */
const windowMs = 10_000;
/** Proxies that report more different series than this are not ours. */
const mostSeries = 50_000;

export function createLedger(nowMs: () => number = Date.now): Ledger {
  const routes = new Map<string, RouteSeries>();
  const increases = createIncreases(nowMs);
  let seriesCount = 0;

  /** The entry of a key, made if there is room for it. */
  function entry<T>(map: Map<string, T>, key: string, make: () => T): T | undefined {
    let found = map.get(key);
    if (found === undefined && seriesCount < mostSeries) {
      seriesCount++;
      found = make();
      map.set(key, found);
    }
    return found;
  }

  function routeOf(name: string): RouteSeries | undefined {
    return entry(routes, name, () => ({ counters: new Map(), histograms: new Map() }));
  }

  function addCounter({ name, route, label, variant, tier, value }: Counter, atMs: number): void {
    const key = `${name}\0${label}\0${variant}\0${tier}`;
    const made = () => ({ name, label, variant, tier, total: 0, samples: [] });
    const series = entry(routeOf(route)?.counters ?? new Map(), key, made);
    if (series === undefined) return;
    series.total += increases.of(increases.series(`c\0${route}\0${key}`), 0, Number(value));
    series.samples.push({ atMs, total: series.total });
    while ((series.samples[1]?.atMs ?? atMs) < atMs - windowMs) series.samples.shift();
  }

  function addHistogram({ name, route, variant, tier, index, count, zeros }: Histogram): void {
    const key = `${name}\0${variant}\0${tier}`;
    const made = () => ({ name, variant, tier, zeros: 0, buckets: new Map<number, number>() });
    const series = entry(routeOf(route)?.histograms ?? new Map(), key, made);
    if (series === undefined) return;
    const known = increases.series(`h\0${route}\0${key}`);
    series.zeros += increases.of(known, zerosBucket, Number(zeros));
    for (let i = 0; i < index.length; i++) {
      const bucket = index[i] ?? 0;
      const added = increases.of(known, bucket, Number(count[i] ?? 0));
      if (added > 0) series.buckets.set(bucket, (series.buckets.get(bucket) ?? 0) + added);
    }
  }

  return {
    add({ node, epoch, counters, histograms }) {
      const atMs = nowMs();
      increases.begin(node, epoch);
      for (const counter of counters) addCounter(counter, atMs);
      for (const histogram of histograms) addHistogram(histogram);
    },
    counts(name, route) {
      const byLabel = new Map<string, Count>();
      for (const each of routes.get(route)?.counters.values() ?? []) {
        if (each.name !== name) continue;
        const { label, total, samples } = each;
        const sum = byLabel.get(label) ?? { label, total: 0, perSecond: 0 };
        sum.total += total;
        sum.perSecond += rate(samples, nowMs());
        byLabel.set(label, sum);
      }
      return [...byLabel.values()];
    },
    routes: () => [...routes.keys()],
    observation(route) {
      const { counters, histograms } = routes.get(route) ?? {};
      return {
        atMs: nowMs(),
        counters: new Map([...(counters ?? [])].map(([key, each]) => [key, observed(each)])),
        distributions: new Map([...(histograms ?? [])].map(([key, each]) => [key, copied(each)])),
      };
    },
  };
}

function observed({ name, label, variant, tier, total }: CounterSeries): ObservedCounter {
  return { name, label, variant, tier, total };
}

function copied({ name, variant, tier, zeros, buckets }: HistogramSeries): ObservedDistribution {
  return { name, variant, tier, distribution: { zeros, buckets: new Map(buckets) } };
}

/** Increase per second over the window; 0 once nothing has been heard for as long. */
function rate(samples: readonly Sample[], nowMs: number): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || nowMs - last.atMs > windowMs) return 0;
  const seconds = (last.atMs - first.atMs) / 1000;
  return seconds > 0 ? (last.total - first.total) / seconds : 0;
}
