import { createPlaces } from "./places.ts";

/** A distribution counts as one value per bucket under the series' key; this bucket is its zeros. */
export const zerosBucket = -(2 ** 31);

export interface Series {
  key: string;
  /** Namespace that it takes its places of. */
  namespace: string;
  /** By when what comes now can have begun to be counted. */
  sinceMs: number;
  reportedMs: number;
  /** Last value of each part: bucket -> count; a counter has the part 0 alone. */
  parts: Map<number, number>;
}

interface Node {
  epoch: string;
  /** Epochs that it left: what comes of them again was recorded and is played back. */
  left: string[];
  /** When it began to count what is not known of it. */
  beganMs: number;
  reportedMs: number;
  parts: number;
  /** Its counters began before this service listened: what they held by then is history. */
  old: boolean;
  firstReportMs: number;
  /** Series of it were dropped: the first value of an unknown series may already be counted. */
  forgot: boolean;
  sweptMs: number;
  series: Map<string, Series>;
}

/** Tells what each report of cumulative values adds to what was known before. */
export interface Increases {
  /** Opens a report of a node; false where it is one of an epoch that the node has left. */
  begin(node: string, epoch: string, namespace: string): boolean;
  /** A series of the node whose report is open. */
  series(key: string, namespace: string): Series;
  /** How far a part of such a series grew since the report before. */
  of(series: Series, part: number, value: number): number;
  /** How many values so far were more than a proxy can have counted. */
  disbelieved(): number;
  /** Sizes of what is kept, for tests of its bounds. */
  sizes(): { nodes: number; series: number; parts: number };
}

/** Proxies may report their distributions in turns; after this time all of them were reported. */
const settlingMs = 30_000;
/** Clocks of proxies and service differ by less, or a proxy's short history is counted. */
const skewMs = 2_000;
/** More different values than this do not come from proxies of ours: of one, of a namespace's, of all. */
const maxNodeParts = 500_000;
const partLimits = { maxOfOne: 1_000_000, maxOfAll: 2_000_000, granted: 2_000 };
/** Maximum plausible rate of a counter, tokens included: larger increases are ignored. */
const maxPerSecond = 1_000_000;
const maxLeft = 16;
/** Proxies beyond this number are forgotten: in the namespace with the most, the one with the oldest report. */
const maxNodes = 20_000;
/** A series without a report for this long is gone: reports within settlingMs contain all. */
export const forgetSeriesMs = 20 * 60_000;
/** A proxy that is silent for so long is forgotten, and which epochs it left. */
const forgetNodeMs = 24 * 3_600_000;

/**
 * Cumulative values become increases: within an epoch they only grow, a new
 * epoch starts from zero. What a proxy counted before the service started is
 * not counted again, so that a restart looks like silence and not like a flood.
 */
export function createIncreases(
  nowMs: () => number,
  /** A value of a namespace found no place, and does not count. */
  noPlace: (namespace: string) => void,
): Increases {
  const startedMs = nowMs();
  /** In the order of their last report, the oldest first. */
  const nodes = new Map<string, Node>();
  const byNamespace = new Map<string, Set<string>>();
  const namespaceOfNode = new Map<string, string>();
  const places = createPlaces(partLimits);
  let forgotNodeMs = Number.NEGATIVE_INFINITY;
  let disbelieved = 0;
  let current: Node | undefined;

  function noteReport(name: string, node: Node, namespace: string): void {
    leave(name);
    nodes.set(name, node);
    namespaceOfNode.set(name, namespace);
    const same = byNamespace.get(namespace) ?? new Set();
    byNamespace.set(namespace, same.add(name));
  }

  function leave(name: string): void {
    nodes.delete(name);
    const namespace = namespaceOfNode.get(name);
    namespaceOfNode.delete(name);
    if (namespace === undefined) return;
    const same = byNamespace.get(namespace);
    same?.delete(name);
    if (same?.size === 0) byNamespace.delete(namespace);
  }

  function dropSeries(node: Node, silentSinceMs: number): void {
    for (const [key, { reportedMs, namespace, parts }] of node.series) {
      if (reportedMs >= silentSinceMs) continue;
      node.series.delete(key);
      node.parts -= parts.size;
      node.forgot = true;
      places.giveBack(namespace, parts.size);
    }
  }

  function forgetNode(name: string): void {
    const node = nodes.get(name);
    if (node) dropSeries(node, Number.POSITIVE_INFINITY);
    leave(name);
    forgotNodeMs = nowMs();
  }

  /** Whoever erred by names that it made up loses its own nodes, not another's. */
  function forgetOne(): void {
    const [first] = byNamespace.values();
    let largest = first;
    for (const each of byNamespace.values()) if (each.size > (largest?.size ?? 0)) largest = each;
    const [oldest] = largest ?? [];
    if (oldest !== undefined) forgetNode(oldest);
  }

  /** Proxies that went. */
  function forgetSilent(): void {
    const atMs = nowMs();
    for (const [name, node] of nodes) {
      if (atMs - node.reportedMs <= forgetSeriesMs) return;
      if (atMs - node.reportedMs > forgetNodeMs) forgetNode(name);
      else if (node.series.size > 0) dropSeries(node, Number.POSITIVE_INFINITY);
    }
  }
  let sweptMs = startedMs;

  return {
    begin(name, epoch, namespace) {
      const atMs = nowMs();
      if (atMs - sweptMs > forgetSeriesMs / 4) {
        sweptMs = atMs;
        forgetSilent();
      }
      const known = nodes.get(name);
      current = undefined;
      if (known?.left.includes(epoch)) return false;
      if (known?.epoch === epoch) {
        current = known;
        current.reportedMs = atMs;
        if (atMs - current.sweptMs > forgetSeriesMs) {
          current.sweptMs = atMs;
          dropSeries(current, atMs - forgetSeriesMs);
        }
      } else {
        if (known) dropSeries(known, Number.POSITIVE_INFINITY);
        current = {
          epoch,
          left: known ? [...known.left, known.epoch].slice(-maxLeft) : [],
          // A new process began after the last report of the one before, whatever epoch it reports.
          beganMs: known?.reportedMs ?? Math.min(Math.max(epochMs(epoch), startedMs), atMs),
          reportedMs: atMs,
          parts: 0,
          // One that was forgotten may have been counted until then.
          old: epochMs(epoch) < Math.max(startedMs, known ? startedMs : forgotNodeMs) - skewMs,
          firstReportMs: atMs,
          forgot: false,
          sweptMs: atMs,
          series: new Map(),
        };
      }
      if (known === undefined && nodes.size >= maxNodes) forgetOne();
      noteReport(name, current, namespace);
      return true;
    },
    series(key, namespace) {
      const atMs = nowMs();
      const series = current?.series.get(key);
      if (series) return Object.assign(series, { sinceMs: series.reportedMs, reportedMs: atMs });
      const sinceMs = current?.beganMs ?? atMs;
      return { key, namespace, parts: new Map(), sinceMs, reportedMs: atMs };
    },
    of(series, part, value) {
      if (current === undefined) return 0;
      const before = series.parts.get(part);
      const isNew = before === undefined;
      if (isNew) {
        if (current.parts >= maxNodeParts || !places.take(series.namespace)) {
          noPlace(series.namespace);
          return 0;
        }
        current.parts++;
        current.series.set(series.key, series);
      } else if (value <= before) return 0;
      series.parts.set(part, value);
      const told = current.old && nowMs() - current.firstReportMs < settlingMs;
      if (isNew && (told || current.forgot)) return 0;
      const added = isNew ? value : value - before;
      if (added <= (maxPerSecond * (series.reportedMs - series.sinceMs + skewMs)) / 1000)
        return added;
      disbelieved++;
      return 0;
    },
    disbelieved: () => disbelieved,
    sizes() {
      let series = 0;
      let parts = 0;
      for (const node of nodes.values()) {
        series += node.series.size;
        parts += node.parts;
      }
      return { nodes: nodes.size, series, parts };
    },
  };
}

/** Filters name an epoch by its start: nanoseconds, 16 hex digits. Any other value counts as a new process. */
function epochMs(epoch: string): number {
  return /^[0-9a-f]{16}$/.test(epoch)
    ? Number(BigInt(`0x${epoch}`) / 1_000_000n)
    : Number.POSITIVE_INFINITY;
}
