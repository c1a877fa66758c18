import { shuffled } from "../e2e/disturbances.ts";
import { generator } from "../random.ts";

/** What of a disturbance the plan needs to know. */
export interface Planned {
  name: string;
  /** Ends the service or takes all its proxies: two of these never run at once. */
  alone?: boolean;
  /** How long it goes on, at the most. */
  lastsMs: number;
}

/** One disturbance at its time. */
export interface Step {
  atMs: number;
  name: string;
  /** Of its own random numbers, so that it does the same when it is run alone. */
  seed: number;
}

/** Everything that will be done to the fleet: the same seed gives the same plan. */
export interface Plan {
  seed: number;
  forMs: number;
  steps: Step[];
}

/** Longest time between two disturbances, in a long run. */
const maxGapMs = 6_000;

/**
 * Draws a plan: all disturbances in an order by chance, again and again, each at
 * least once, and the last one early enough to end in time.
 * @throws RangeError when the time is too short for all of them
 */
export function planOf(seed: number, forMs: number, disturbances: readonly Planned[]): Plan {
  if (disturbances.length === 0) return { seed, forMs, steps: [] };
  const random = generator(seed);
  const longest = Math.max(0, ...disturbances.map(({ lastsMs }) => lastsMs));
  const room = forMs - longest;
  if (room <= 0)
    throw new RangeError(`${forMs} ms are too short: one disturbance takes ${longest}`);
  const gap = Math.min(maxGapMs, room / disturbances.length);
  const steps: Step[] = [];
  let atMs = 0;
  let freeMs = 0;
  const order = shuffled(disturbances, random);
  for (let i = 0; i < disturbances.length || atMs + gap < room; i++) {
    const { name, alone, lastsMs } = order.next().value;
    // Those that end the service wait for each other.
    const startMs = alone ? Math.max(atMs, freeMs) : atMs;
    if (alone) freeMs = startMs + lastsMs;
    steps.push({ atMs: Math.round(startMs), name, seed: Math.floor(random() * 2 ** 32) });
    atMs += gap * (0.5 + random() / 2);
  }
  return { seed, forMs, steps: steps.sort((a, b) => a.atMs - b.atMs) };
}
