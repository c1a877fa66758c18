import type { Entry, PodState } from "./entry.ts";

/** What happened to registrations at this replica. A heartbeat is "renew". */
const podEvents = ["join", "renew", "drain", "leave", "expire", "refuse"] as const;

/** One of {@link podEvents}. */
type PodEvent = (typeof podEvents)[number];

/** Counts of registrations, for metrics. */
export interface Counts {
  event(event: PodEvent): void;
  /** How often each happened since the service started. */
  events(): [PodEvent, number][];
  /** How many pods of each variant are in each state. */
  pods(): { route: string; variant: string; state: PodState; count: number }[];
}

export function createCounts(all: () => readonly Entry[]): Counts {
  const events = new Map<PodEvent, number>(podEvents.map((event) => [event, 0]));
  return {
    event: (event) => void events.set(event, (events.get(event) ?? 0) + 1),
    events: () => [...events],
    pods() {
      const counts = new Map<string, ReturnType<Counts["pods"]>[number]>();
      for (const { route, variant, state } of all()) {
        if (state === "left") continue;
        const key = `${route}/${variant}/${state}`;
        const found = counts.get(key) ?? { route, variant, state, count: 0 };
        found.count++;
        counts.set(key, found);
      }
      return [...counts.values()];
    },
  };
}
