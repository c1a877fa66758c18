import type { BucketRun } from "../../control/gen/weir/v1/filter_pb.ts";

/** A state of a route that people may count on. */
export interface KnownState {
  /** Grows with every write: the etag as a number. */
  order: number;
  /** What of it can be seen on a proxy: who gets which buckets. */
  print: string;
  /** Fair time at which the suite knew of it. */
  knownMs: number;
  /** Who wrote it. */
  by: string;
}

/** All states that routes had, as they were acknowledged or read. */
export interface States {
  record(route: string, order: number, print: string, by: string): void;
  latest(route: string): KnownState | undefined;
  /** When a state with this print was followed by another: undefined while it is the newest; -1: there never was one. */
  supersededMs(route: string, print: string): number | undefined;
  /** The newest state with this print. */
  find(route: string, print: string): KnownState | undefined;
  routes(): string[];
}

/** The print of a route that is not there. */
export const absent = "absent";
const maxStates = 500;

/** The buckets as one text, the same for a stored route and for what a proxy was sent. */
export function printOf(buckets: readonly Pick<BucketRun, "variant" | "count">[]): string {
  return buckets.map(({ variant, count }) => `${variant}:${count}`).join(",");
}

export function createStates(nowMs: () => number): States {
  const all = new Map<string, KnownState[]>();
  return {
    record(route, order, print, by) {
      const states = all.get(route) ?? [];
      all.set(route, states);
      const at = states.findLastIndex((state) => state.order <= order);
      if (states[at]?.order === order) return;
      // Known late, but followed already: from then on that one counts.
      const knownMs = states[at + 1]?.knownMs ?? nowMs();
      states.splice(at + 1, 0, { order, print, knownMs, by });
      if (states.length > maxStates) states.shift();
    },
    latest: (route) => all.get(route)?.at(-1),
    supersededMs(route, print) {
      const states = all.get(route) ?? [];
      const at = states.findLastIndex((state) => state.print === print);
      return at < 0 ? -1 : states[at + 1]?.knownMs;
    },
    find: (route, print) => all.get(route)?.findLast((state) => state.print === print),
    routes: () => [...all.keys()],
  };
}
