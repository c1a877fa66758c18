import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";

/** Counts of one kind, by label: e.g. requests by variant. */
export interface Count {
  label: string;
  total: number;
  perSecond: number;
}

/** What the proxies' filters report, kept in memory for the last seconds. */
export interface Ledger {
  /** Takes a report; counters only ever grow within an epoch. */
  add(report: ReportRequest): void;
  /** Counts of one counter of a route over all proxies, by label. */
  counts(name: string, route: string): Count[];
}

interface Sample {
  atMs: number;
  total: number;
}

interface Series {
  route: string;
  name: string;
  label: string;
  total: number;
  samples: Sample[];
}

/** Rates are over the last ten seconds. */
const windowMs = 10_000;
/** A proxy that reports more different counters than this is not one of ours. */
const mostSeries = 50_000;

export function createLedger(nowMs: () => number = Date.now): Ledger {
  const series = new Map<string, Series>();
  /** Last value seen of each counter of each proxy, with the epoch it belongs to. */
  const last = new Map<string, { epoch: string; value: number }>();

  function increase(node: string, epoch: string, key: string, value: number): number {
    const id = `${node}\0${key}`;
    const before = last.get(id);
    if (before === undefined && last.size >= mostSeries) return 0;
    last.set(id, { epoch, value });
    // A new epoch starts from zero; a value that shrinks within one is a lie or a bug.
    const base = before?.epoch === epoch ? before.value : 0;
    return Math.max(0, value - base);
  }

  function seriesOf(name: string, route: string, label: string): Series | undefined {
    const key = `${name}\0${route}\0${label}`;
    let found = series.get(key);
    if (found === undefined) {
      if (series.size >= mostSeries) return undefined;
      found = { name, route, label, total: 0, samples: [] };
      series.set(key, found);
    }
    return found;
  }

  return {
    add({ node, epoch, counters }) {
      const atMs = nowMs();
      for (const { name, route, label, value } of counters) {
        const added = increase(node, epoch, `${name}\0${route}\0${label}`, Number(value));
        const target = seriesOf(name, route, label);
        if (target === undefined) continue;
        target.total += added;
        target.samples.push({ atMs, total: target.total });
        while ((target.samples[1]?.atMs ?? atMs) < atMs - windowMs) target.samples.shift();
      }
    },
    counts(name, route) {
      return [...series.values()]
        .filter((each) => each.name === name && each.route === route)
        .map(({ label, total, samples }) => ({ label, total, perSecond: rate(samples, nowMs()) }));
    },
  };
}

/** Increase per second over the window; 0 once nothing has been heard for as long. */
function rate(samples: readonly Sample[], nowMs: number): number {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || nowMs - last.atMs > windowMs) return 0;
  const seconds = (last.atMs - first.atMs) / 1000;
  return seconds > 0 ? (last.total - first.total) / seconds : 0;
}
