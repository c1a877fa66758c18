import { appendFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toText } from "./figures.ts";
import type { StoreKind } from "./options.ts";
import { runNeighbours } from "./run.ts";

// WEIR_NEIGHBOURS_SECONDS    how long both runs go on together (npm run test:long: an hour)
// WEIR_NEIGHBOURS_SEED       of the plan and of everything drawn; the same seed gives the same plan
// WEIR_NEIGHBOURS_ONLY       names of disturbances, with commas in between; "none" for an undisturbed run
// WEIR_NEIGHBOURS_STORE      only one store: lmdb or etcd
// WEIR_NEIGHBOURS_REPORT     file to which each run's figures are added, a line of JSON each
// WEIR_NEIGHBOURS_JOURNAL    file to which everything that is done is added as it is done
// WEIR_SLOW                  factor on the bounds of time
const seconds = Number(process.env.WEIR_NEIGHBOURS_SECONDS ?? 50);
const seed = Number(process.env.WEIR_NEIGHBOURS_SEED ?? 20_261);
const only = process.env.WEIR_NEIGHBOURS_ONLY ?? "";
const report = process.env.WEIR_NEIGHBOURS_REPORT;
const journal = process.env.WEIR_NEIGHBOURS_JOURNAL;
const isLong = seconds > 600;

/** Share of the time that each store is given. */
const stores: [StoreKind, number][] = [
  ["lmdb", 0.6],
  ["etcd", 0.4],
];
const wanted = stores.filter(([store]) =>
  [undefined, "", store].includes(process.env.WEIR_NEIGHBOURS_STORE),
);

describe("neighbours: no proxy, client or byte hurts the rest", () => {
  it.each(wanted)(
    "of a control service on %s",
    {
      timeout: seconds * 1_000 + 600_000,
    },
    async (store, share) => {
      const { violations, figures, lastEvents } = await runNeighbours({
        store,
        seed,
        seconds: Math.round(seconds * (wanted.length > 1 ? share : 1)),
        only,
        slow: Number(process.env.WEIR_SLOW ?? 1),
        healthy: isLong ? 36 : 24,
        writeEveryMs: isLong ? 800 : 500,
        echo: (line) => journal && appendFileSync(journal, `${line}\n`),
      });
      console.log(toText(figures));
      if (report) appendFileSync(report, `${JSON.stringify(figures)}\n`);
      const told = violations.map(({ invariant, who, what }) => `${invariant}: ${who}: ${what}`);
      expect(
        told.slice(0, 40),
        `seed ${seed}; what was done last:\n${lastEvents.join("\n")}`,
      ).toEqual([]);
    },
  );
});
