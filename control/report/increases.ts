/** A distribution counts as one value per bucket under the series' key; this bucket is its zeros. */
export const zerosBucket = -(2 ** 31);

export interface Series {
  /** Last value of each part: bucket -> count; a counter has the part 0 alone. */
  parts: Map<number, number>;
}

interface Node {
  epoch: string;
  /** Its counters began before this service listened: what they held by then is history. */
  old: boolean;
  firstReportMs: number;
  series: Map<string, Series>;
}

/** Tells what each report of cumulative values adds to what was known before. */
export interface Increases {
  /** Opens a report of a node. */
  begin(node: string, epoch: string): void;
  /** A series of the node whose report is open. */
  series(key: string): Series;
  /** How far a part of such a series grew since the report before. */
  of(series: Series, part: number, value: number): number;
}

/** Proxies may report their distributions by turns; after this time all of them have been told. */
const settlingMs = 30_000;
/** Clocks of proxies and service differ by less, or a proxy's short history is counted. */
const skewMs = 2_000;
/** More different values than this do not come from proxies of ours. */
const mostParts = 2_000_000;

/**
 * Cumulative values become increases: within an epoch they only grow, a new
 * epoch starts from zero. What a proxy counted before the service started is
 * not counted again, so that a restart looks like silence and not like a flood.
 */
export function createIncreases(nowMs: () => number): Increases {
  const startedMs = nowMs();
  const nodes = new Map<string, Node>();
  let parts = 0;
  let current: Node | undefined;

  return {
    begin(name, epoch) {
      const known = nodes.get(name);
      if (known?.epoch === epoch) {
        current = known;
        return;
      }
      for (const { parts: gone } of known?.series.values() ?? []) parts -= gone.size;
      current = {
        epoch,
        old: epochMs(epoch) < startedMs - skewMs,
        firstReportMs: nowMs(),
        series: new Map(),
      };
      nodes.set(name, current);
    },
    series(key) {
      let series = current?.series.get(key);
      if (series === undefined) {
        series = { parts: new Map() };
        current?.series.set(key, series);
      }
      return series;
    },
    of(series, part, value) {
      if (current === undefined) return 0;
      const before = series.parts.get(part);
      if (before === undefined) {
        if (parts >= mostParts) return 0;
        parts++;
      } else if (value <= before) return 0;
      series.parts.set(part, value);
      if (before !== undefined) return value - before;
      return current.old && nowMs() - current.firstReportMs < settlingMs ? 0 : value;
    },
  };
}

/** Filters name an epoch by its start: nanoseconds, 16 hex digits. Anything else is as good as new. */
function epochMs(epoch: string): number {
  return /^[0-9a-f]{16}$/.test(epoch)
    ? Number(BigInt(`0x${epoch}`) / 1_000_000n)
    : Number.POSITIVE_INFINITY;
}
