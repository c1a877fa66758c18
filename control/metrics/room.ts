import type { Ledger } from "../report/index.ts";
import type { Source } from "./registry.ts";

/** How many series of the filters' reports are kept of each namespace, and what found no place. */
export function roomMetrics(ledger: Pick<Ledger, "room">): Source[] {
  return [
    {
      name: "weir_reported_series",
      help: "Number of series kept from reports of proxies, by namespace.",
      type: "gauge",
      collect: () =>
        ledger.room().map(({ namespace, series }) => ({ labels: { namespace }, value: series })),
    },
    {
      name: "weir_reported_values_beyond_total",
      help: "Reported values beyond the maximum of series of a namespace; they count only under the route (rest).",
      type: "counter",
      collect: () =>
        ledger
          .room()
          .filter(({ beyond }) => beyond > 0)
          .map(({ namespace, beyond }) => ({ labels: { namespace }, value: beyond })),
    },
  ];
}
