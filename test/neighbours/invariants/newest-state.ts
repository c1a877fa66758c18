import { absent, type States } from "../states.ts";
import type { Violated } from "./violation.ts";

/** A healthy proxy as the suite sees it. */
export interface Seen {
  node: string;
  /** Fair time at which its stream was answered; undefined while it has none. */
  connectedMs: number | undefined;
  /** Fair time at which it was looked at, where that was not just now. */
  atMs?: number;
  /** Routes that are compared: those of its scope that nothing may hold. */
  routes: readonly string[];
  /** The print of a route that it runs. */
  runs(route: string): string | undefined;
}

export interface NewestStateOptions {
  states: States;
  nowMs: () => number;
  boundMs: number;
  violated: Violated;
}

/**
 * Every healthy proxy runs the newest state within the bound: whatever it runs
 * was followed by another no longer ago than that. Time counts from when a write
 * was acknowledged, or from when the proxy connected, whichever was later.
 */
export function createNewestState({ states, nowMs, boundMs, violated }: NewestStateOptions) {
  const unknownSince = new Map<string, number>();
  /** What each proxy was seen to run of a route, and since when. */
  const running = new Map<string, { print: string; sinceMs: number }>();

  /** A proxy that turned to a state just now may be ahead of what is known: the state may be new, and like an old one. */
  function turnedMs(key: string, print: string): number {
    const before = running.get(key);
    if (before?.print === print) return before.sinceMs;
    const sinceMs = before === undefined ? 0 : nowMs();
    running.set(key, { print, sinceMs });
    return sinceMs;
  }

  function lagMs(seen: Seen, route: string, connectedMs: number): number {
    const runs = seen.runs(route) ?? absent;
    const key = `${seen.node} ${route}`;
    const turned = turnedMs(key, runs);
    const superseded = states.supersededMs(route, runs);
    if (superseded !== -1) {
      unknownSince.delete(key);
      if (superseded === undefined) return 0;
      return (seen.atMs ?? nowMs()) - Math.max(superseded, connectedMs, turned);
    }
    // What nobody wrote, or whose acknowledgement is still on its way.
    const latest = states.latest(route);
    if (latest === undefined || (latest.print === absent && runs === absent)) return 0;
    const since = unknownSince.get(key) ?? nowMs();
    unknownSince.set(key, since);
    // Seen before its stream was lost, too: it has the bound again from when it came back.
    return (seen.atMs ?? nowMs()) - Math.max(since, connectedMs);
  }

  return {
    check(proxies: Iterable<Seen>): void {
      for (const seen of proxies) {
        if (seen.connectedMs === undefined) continue;
        for (const route of seen.routes) {
          const lag = lagMs(seen, route, seen.connectedMs);
          if (lag <= boundMs) continue;
          const newest = states.latest(route);
          violated({
            invariant: "newest-state",
            who: `${seen.node} ${route}`,
            what: `runs ${seen.runs(route) ?? absent}, while ${newest?.print} (etag ${newest?.order}, by ${newest?.by}) should have come ${Math.round(lag - boundMs)} ms ago`,
          });
        }
      }
    },
  };
}
