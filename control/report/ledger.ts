import type { Counter, Histogram, ReportRequest } from "../gen/weir/v1/report_pb.ts";
import { createIncreases, forgetSeriesMs, zerosBucket } from "./increases.ts";
import {
  dropSilent,
  emptyRoute,
  emptySet,
  isEmpty,
  observationOf,
  type RouteSeries,
  rate,
  type SeriesSet,
  windowMs,
} from "./kept.ts";
import { counterNames } from "./names.ts";
import type { Observation } from "./observation.ts";
import { createPlaces, namespaceOf } from "./places.ts";
import { createRest, type RestCounter, restNamespace, restOf } from "./rest.ts";

/** Counts of one kind, by label: e.g. requests by variant. */
export interface Count {
  label: string;
  total: number;
  perSecond: number;
}

/** What the proxies' filters report, summed over all of them, kept in memory. */
export interface Ledger {
  /**
   * Takes a report; values only ever grow within an epoch.
   * @returns why it does not count, or some of it
   */
  add(report: ReportRequest): string | undefined;
  /** Counts of one counter of a route over all proxies, by label. */
  counts(name: string, route: string): Count[];
  /** Routes that were reported, and of each namespace beyond its bound the rest. */
  routes(): string[];
  /** Everything known of a route now; two of them tell what came in between. */
  observation(route: string): Observation;
  /** By node, the responses of a route that it reported, by variant. */
  voices(route: string): Voices;
  /** The same of each tenant that the proxies measure by itself: a part of what is in the route's. */
  tenants(route: string): ReadonlyMap<string, Observation>;
  /** Of each namespace that has any, the series that are kept and the values that found no place. */
  room(): { namespace: string; series: number; beyond: number }[];
  /** Sizes of what is kept, for tests of its bounds. */
  sizes(): Record<string, number>;
}

/** Counts of reported answers, by variant and node, with a zero byte between the two. */
export type Voices = ReadonlyMap<string, number>;

/** Series of one namespace, and of all: proxies that report more are not ours, or have gone. */
const seriesLimits = { maxOfOne: 50_000, maxOfAll: 200_000, granted: 2_000 };
/** Maximum pairs of variant and node, for one namespace and in total. */
const voiceLimits = { maxOfOne: 200_000, maxOfAll: 1_000_000, granted: 5_000 };
/** A series without a report for this long is dropped: its route or tenant is gone. */
const silentMs = forgetSeriesMs / 2;
const sweepMs = 60_000;

/**
 * Makes an empty ledger.
 * @param full is called when a namespace has no room for more series: once, until it has had room
 *   for a while
 */
export function createLedger(
  nowMs: () => number = Date.now,
  full?: (namespace: string, maxSeries: number) => void,
): Ledger {
  const routes = new Map<string, RouteSeries>();
  const rests = new Map<string, RouteSeries>();
  const places = createPlaces(seriesLimits);
  const voicePlaces = createPlaces(voiceLimits);
  const increases = createIncreases(nowMs, noPlace);
  /** Values that found no place, of each namespace that is beyond its bound. */
  const beyond = new Map<string, { values: number; lastMs: number }>();
  let sweptMs = nowMs();

  /** Namespaces beyond the maximum share one name. */
  const named = (namespace: string) => (places.taken().has(namespace) ? namespace : "");

  function noPlace(namespace: string): void {
    const name = named(namespace);
    const before = beyond.get(name);
    if (before === undefined) full?.(name, seriesLimits.maxOfOne);
    beyond.set(name, { values: (before?.values ?? 0) + 1, lastMs: nowMs() });
  }

  /** The entry of a key, made if its namespace has a place for it. */
  function entry<T>(
    map: Map<string, T>,
    key: string,
    namespace: string,
    make: () => T,
  ): T | undefined {
    let found = map.get(key);
    if (found === undefined && places.take(namespace)) {
      found = make();
      map.set(key, found);
    }
    return found;
  }

  /** The series of a route, or of one of its tenants. */
  function setOf(name: string, tenant: string, namespace: string): SeriesSet | undefined {
    // No route of ours has the name of what has no place.
    if (restNamespace(name) !== undefined) return undefined;
    const route = entry(routes, name, namespace, emptyRoute);
    return route && tenant !== "" ? entry(route.tenants, tenant, namespace, emptySet) : route;
  }

  /** How much of what is known of a route is the word of one proxy. */
  function note(route: string, variant: string, node: string, added: number): void {
    const voices = routes.get(route)?.voices;
    if (voices === undefined || added === 0) return;
    const key = `${variant}\0${node}`;
    const known = voices.get(key);
    if (known) Object.assign(known, { total: known.total + added, reportedMs: nowMs() });
    else if (voicePlaces.take(namespaceOf(route)))
      voices.set(key, { total: added, reportedMs: nowMs() });
    else noPlace(namespaceOf(route));
  }

  /** @returns whether there was a place for it */
  function addCounter(counter: Counter, node: string, atMs: number): boolean {
    const { name, route, label, variant, tier, tenant, value } = counter;
    const namespace = namespaceOf(route);
    const key = `${name}\0${label}\0${variant}\0${tier}`;
    const made = () => ({ name, label, variant, tier, total: 0, samples: [], reportedMs: atMs });
    const set = setOf(route, tenant, namespace);
    const series = set && entry(set.counters, key, namespace, made);
    if (series === undefined) return false;
    series.reportedMs = atMs;
    const known = increases.series(`c\0${route}\0${key}\0${tenant}`, namespace);
    const added = increases.of(known, 0, Number(value));
    series.total += added;
    // Nobody asks for a tenant's rate.
    if (tenant !== "") return true;
    if (name === counterNames.responses) note(route, variant, node, added);
    series.samples.push({ atMs, total: series.total });
    while ((series.samples[1]?.atMs ?? atMs) < atMs - windowMs) series.samples.shift();
    return true;
  }

  function addHistogram(histogram: Histogram, atMs: number): void {
    const { name, route, variant, tier, tenant, index, count, zeros } = histogram;
    const namespace = namespaceOf(route);
    const key = `${name}\0${variant}\0${tier}`;
    const made = () => ({ name, variant, tier, zeros: 0, buckets: new Map(), reportedMs: atMs });
    const set = setOf(route, tenant, namespace);
    const series = set && entry(set.histograms, key, namespace, made);
    if (series === undefined) {
      noPlace(namespace);
      return;
    }
    series.reportedMs = atMs;
    const known = increases.series(`h\0${route}\0${key}\0${tenant}`, namespace);
    series.zeros += increases.of(known, zerosBucket, Number(zeros));
    for (let i = 0; i < index.length; i++) {
      const bucket = index[i] ?? 0;
      const added = increases.of(known, bucket, Number(count[i] ?? 0));
      if (added > 0) series.buckets.set(bucket, (series.buckets.get(bucket) ?? 0) + added);
    }
  }

  /** What found no place of its own: the sum of a proxy's counters of one name and namespace only grows, too. */
  function addRest({ name, namespace, value }: RestCounter, atMs: number): void {
    const owner = named(namespace);
    const rest = rests.get(owner) ?? emptyRoute();
    rests.set(owner, rest);
    const made = {
      name,
      label: "",
      variant: "",
      tier: "",
      total: 0,
      samples: [],
      reportedMs: atMs,
    };
    const series = rest.counters.get(name) ?? made;
    rest.counters.set(name, series);
    series.reportedMs = atMs;
    series.total += increases.of(increases.series(`r\0${owner}\0${name}`, owner), 0, value);
  }

  /** Drops series that no proxy reports any more. */
  function sweep(atMs: number): void {
    const sinceMs = atMs - silentMs;
    for (const [name, route] of routes) {
      const namespace = namespaceOf(name);
      let free = dropSilent(route, sinceMs);
      for (const [tenant, set] of route.tenants) {
        free += dropSilent(set, sinceMs);
        if (isEmpty(set) && route.tenants.delete(tenant)) free++;
      }
      for (const [voice, { reportedMs }] of route.voices)
        if (reportedMs < sinceMs && route.voices.delete(voice)) voicePlaces.giveBack(namespace, 1);
      if (isEmpty(route) && route.tenants.size + route.voices.size === 0 && routes.delete(name))
        free++;
      places.giveBack(namespace, free);
    }
    for (const [namespace, rest] of rests) {
      dropSilent(rest, sinceMs);
      if (isEmpty(rest)) rests.delete(namespace);
    }
    for (const [namespace, { lastMs }] of beyond) if (lastMs < sinceMs) beyond.delete(namespace);
  }

  const found = (route: string) => routes.get(route) ?? rests.get(restNamespace(route) ?? "\0");

  return {
    add({ node, epoch, filter, counters, histograms }) {
      const atMs = nowMs();
      if (atMs - sweptMs >= sweepMs) {
        sweptMs = atMs;
        sweep(atMs);
      }
      const before = increases.disbelieved();
      const namespace = namespaceOf((counters[0] ?? histograms[0])?.route ?? "");
      if (!increases.begin(`${node}\0${filter}`, epoch, namespace))
        return "it comes from a process that has ended (a replayed report)";
      const rest = createRest();
      for (const counter of counters) {
        if (addCounter(counter, node, atMs)) continue;
        noPlace(namespaceOf(counter.route));
        rest.add(counter);
      }
      for (const histogram of histograms) addHistogram(histogram, atMs);
      for (const counter of rest.counters()) addRest(counter, atMs);
      const wrong = increases.disbelieved() - before;
      return wrong === 0 ? undefined : `${wrong} of its values are larger than a proxy can count`;
    },
    voices(route) {
      const voices = [...(routes.get(route)?.voices ?? [])];
      return new Map(voices.map(([voice, { total }]) => [voice, total]));
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
    routes: () => [...routes.keys(), ...[...rests.keys()].map(restOf)],
    observation: (route) => observationOf(found(route), nowMs()),
    tenants(route) {
      const tenants = [...(routes.get(route)?.tenants ?? [])];
      return new Map(tenants.map(([tenant, each]) => [tenant, observationOf(each, nowMs())]));
    },
    room() {
      const names = new Set([...places.taken().keys(), ...beyond.keys()]);
      return [...names].map((namespace) => ({
        namespace,
        series: places.taken().get(namespace) ?? 0,
        beyond: beyond.get(namespace)?.values ?? 0,
      }));
    },
    sizes() {
      let series = 0;
      let voices = 0;
      for (const count of places.taken().values()) series += count;
      for (const count of voicePlaces.taken().values()) voices += count;
      const others = { routes: routes.size, rests: rests.size, beyond: beyond.size };
      return { ...increases.sizes(), series, voices, ...others };
    },
  };
}
