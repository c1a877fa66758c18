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
  /** The same of each tenant that the proxies measure by itself: a part of what is in the route's. */
  tenants(route: string): ReadonlyMap<string, Observation>;
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

interface Series {
  counters: Map<string, CounterSeries>;
  histograms: Map<string, HistogramSeries>;
}

interface RouteSeries extends Series {
  tenants: Map<string, Series>;
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

  /** Where what is said of a route, or of one tenant of it, belongs. */
  function seriesOf(name: string, tenant: string): Series | undefined {
    const made = () => ({ counters: new Map(), histograms: new Map() });
    const route = entry(routes, name, () => ({ ...made(), tenants: new Map() }));
    return route && tenant !== "" ? entry(route.tenants, tenant, made) : route;
  }

  function addCounter(counter: Counter, atMs: number): void {
    const { name, route, label, variant, tier, tenant, value } = counter;
    const key = `${name}\0${label}\0${variant}\0${tier}`;
    const made = () => ({ name, label, variant, tier, total: 0, samples: [] });
    const series = entry(seriesOf(route, tenant)?.counters ?? new Map(), key, made);
    if (series === undefined) return;
    const known = increases.series(`c\0${route}\0${key}\0${tenant}`);
    series.total += increases.of(known, 0, Number(value));
    // Nobody asks for a tenant's rate.
    if (tenant !== "") return;
    series.samples.push({ atMs, total: series.total });
    while ((series.samples[1]?.atMs ?? atMs) < atMs - windowMs) series.samples.shift();
  }

  function addHistogram(histogram: Histogram): void {
    const { name, route, variant, tier, tenant, index, count, zeros } = histogram;
    const key = `${name}\0${variant}\0${tier}`;
    const made = () => ({ name, variant, tier, zeros: 0, buckets: new Map<number, number>() });
    const series = entry(seriesOf(route, tenant)?.histograms ?? new Map(), key, made);
    if (series === undefined) return;
    const known = increases.series(`h\0${route}\0${key}\0${tenant}`);
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
    observation: (route) => observationOf(routes.get(route), nowMs()),
    tenants(route) {
      const tenants = [...(routes.get(route)?.tenants ?? [])];
      return new Map(tenants.map(([tenant, each]) => [tenant, observationOf(each, nowMs())]));
    },
  };
}

function observationOf(series: Series | undefined, atMs: number): Observation {
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

/** Increase per second over the window; 0 once nothing has been heard for as long. */
function rate(samples: readonly Sample[], nowMs: number): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || nowMs - last.atMs > windowMs) return 0;
  const seconds = (last.atMs - first.atMs) / 1000;
  return seconds > 0 ? (last.total - first.total) / seconds : 0;
}
