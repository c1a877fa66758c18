import type { Entry } from "./entry.ts";
import { refused } from "./refusal.ts";

/** How many pods may be registered of a route, by a caller, and in all. */
const max = { route: 1_024, caller: 4_096, all: 16_384 } as const;
/** Runs of pods that a caller may start: so many a second for ever, and at once. */
const joins = { perSecond: 50, atOnce: 1_024 } as const;

type Place = Pick<Entry, "route" | "principal">;

/** Bounds what pods and callers may register. */
export interface Room {
  /**
   * Takes a place for a run that joins, in that of the run before it.
   * @throws RefusedError where there is none
   */
  take(pod: Place, before: Place | undefined): void;
  /** Counts a pod that another replica took. */
  add(pod: Place): void;
  /** A pod is not kept any more. */
  drop(pod: Place): void;
}

/** @param all what is kept */
export function createRoom(all: { readonly size: number }, monotonicMs: () => number): Room {
  const routes = new Map<string, number>();
  const callers = new Map<string, number>();
  /** The time at which a caller's joins so far will have been paid for (GCRA). */
  const paidUntilMs = new Map<string, number>();

  const change = (counts: Map<string, number>, key: string, by: number) => {
    const count = (counts.get(key) ?? 0) + by;
    if (count > 0) counts.set(key, count);
    else counts.delete(key);
  };
  const count = ({ route, principal }: Place, by: number) => {
    change(routes, route, by);
    change(callers, principal, by);
  };
  const refuse = (code: string, message: string): never => {
    throw refused(code, "full", "address", message);
  };

  function pay(caller: string): void {
    const nowMs = monotonicMs();
    for (const [each, untilMs] of paidUntilMs) if (untilMs <= nowMs) paidUntilMs.delete(each);
    const untilMs = Math.max(nowMs, paidUntilMs.get(caller) ?? 0) + 1000 / joins.perSecond;
    if (untilMs - nowMs > (1000 / joins.perSecond) * joins.atOnce)
      refuse(
        "joins-too-fast",
        `${caller} registers more than ${joins.perSecond} pods per second: retry in 1 s`,
      );
    paidUntilMs.set(caller, untilMs);
  }

  return {
    take(pod, before) {
      if (before) count(before, -1);
      try {
        if ((routes.get(pod.route) ?? 0) >= max.route)
          refuse(
            "route-full-of-pods",
            `route ${pod.route} has ${max.route} registered pods, which is the maximum`,
          );
        if ((callers.get(pod.principal) ?? 0) >= max.caller)
          refuse(
            "caller-full-of-pods",
            `${pod.principal} has registered ${max.caller} pods, which is the maximum`,
          );
        if (!before && all.size >= max.all)
          refuse("registry-full", `${max.all} pods are registered, which is the maximum`);
        pay(pod.principal);
      } catch (error) {
        if (before) count(before, 1);
        throw error;
      }
      count(pod, 1);
    },
    add: (pod) => count(pod, 1),
    drop: (pod) => count(pod, -1),
  };
}
