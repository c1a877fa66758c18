import type { Verdict } from "../../gen/weir/v1/rollout_pb.ts";
import { counterNames, type Observation, totalOf } from "../../report/index.ts";
import { hangs } from "./checks.ts";
import type { Tally } from "./trials.ts";

/** Labels of the filters for how long a request has waited: what is shorter is slow, and for the checks of times. */
export const waits = ["4s", "8s", "16s", "32s", "64s", "128s"] as const;
/** A wait that fewer than this share of a variant's requests reach is longer than its slowest. */
const slowestShare = 0.01;

/**
 * Requests that reached a wait, of those that did or were answered before. What waits
 * for less than that is not decided yet, and counts on neither side. What had reached it
 * when the window began is seen again when it reaches a longer one.
 */
export function hangsAmong(side: Observation, wait: string): Tally {
  const reached = waits.slice(waits.indexOf(wait as (typeof waits)[number]));
  const hits = Math.max(...reached.map((label) => totalOf(side, counterNames.waited, { label })));
  return { hits, trials: hits + totalOf(side, counterNames.responses) };
}

/** The shortest wait that is longer than a variant's slowest answers took to begin. */
export function slowestOf(side: Observation): string {
  return (
    waits.find((wait) => {
      const { hits, trials } = hangsAmong(side, wait);
      return hits < slowestShare * trials;
    }) ?? "128s"
  );
}

/** The wait that an earlier step went by. */
export function slowestKept(earlier: readonly Verdict[]): string | undefined {
  const before = `${hangs} over `;
  return earlier
    .find(({ check, tenant }) => tenant === "" && check.startsWith(before))
    ?.check.slice(before.length);
}
