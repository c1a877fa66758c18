import { leaseMs } from "./request.ts";

/**
 * The variants whose pods are not known yet, because the service has just started: the proxies
 * keep the pods that they have until every pod had the time of a lease to renew it.
 */
export interface Recovery {
  /** Waits for the pods of these variants. */
  begin(keys: Iterable<string>): void;
  /** A pod of a variant renewed its lease. */
  renewed(key: string, leaseMs: number): void;
  /** Another replica told of all pods. */
  end(): void;
  /** Whether the pods of a variant are known. */
  knows(key: string): boolean;
  /** How long the pods of a variant are still waited for, in milliseconds; 0: they are known. */
  waitMs(key: string): number;
  /** Whether all are known. */
  isOver(): boolean;
  /** Ends the wait for variants whose time is over. @returns whether there were any */
  sweep(): boolean;
}

export function createRecovery(monotonicMs: () => number): Recovery {
  /** When the wait for each variant ends, and the longest lease of a pod that renewed it. */
  const waits = new Map<string, { untilMs: number; longestMs: number }>();
  let startedMs = 0;
  return {
    begin(keys) {
      startedMs = monotonicMs();
      for (const key of keys)
        waits.set(key, { untilMs: startedMs + leaseMs.max, longestMs: leaseMs.default });
    },
    renewed(key, pod) {
      const wait = waits.get(key);
      if (wait === undefined) return;
      // Pods renew after a third of their lease: the other ones of this variant had time as well.
      wait.longestMs = Math.max(wait.longestMs, pod);
      wait.untilMs = startedMs + wait.longestMs;
    },
    end: () => waits.clear(),
    knows: (key) => !waits.has(key),
    waitMs: (key) => Math.max(0, (waits.get(key)?.untilMs ?? 0) - monotonicMs()),
    isOver: () => waits.size === 0,
    sweep() {
      const over = [...waits].filter(([, { untilMs }]) => untilMs <= monotonicMs());
      for (const [key] of over) waits.delete(key);
      return over.length > 0;
    },
  };
}
