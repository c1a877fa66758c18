import {
  createMetrics,
  fleetMetrics,
  isReporter,
  type Metrics,
  registeredMetrics,
  reportedMetrics,
  roomMetrics,
  saturationMetrics,
} from "../../metrics/index.ts";
import type { Registry } from "../../registration/index.ts";
import type { Fleet } from "../../xds/index.ts";
import type { Replicas } from "./replicas.ts";
import type { Reports } from "./reports.ts";

/** What Prometheus reads of this replica. What all replicas know one of them tells. */
export function openMetrics(
  fleet: Pick<Fleet, "list">,
  { ledger, loads }: Pick<Reports, "ledger" | "loads">,
  { owns }: Pick<Replicas, "owns">,
  { counts }: Pick<Registry, "counts">,
): Metrics {
  const tells = () => owns("metrics");
  return createMetrics([
    ...roomMetrics(ledger),
    ...fleetMetrics(() => fleet.list().filter((proxy) => !isReporter(proxy) || tells())),
    ...reportedMetrics(() =>
      tells() ? ledger.routes().map((route) => [route, ledger.observation(route)] as const) : [],
    ),
    ...saturationMetrics(loads, tells),
    ...registeredMetrics(counts, tells),
  ]);
}
