import type { Observation } from "../../control/report/index.ts";

/** What was counted of one variant, by counter and label. */
export const side = (...counts: [name: string, label: string, total: number][]): Observation => ({
  atMs: 0,
  distributions: new Map(),
  counters: new Map(
    counts.map(([name, label, total]) => [
      `${name} ${label}`,
      { name, label, variant: "", tier: "", total },
    ]),
  ),
});
