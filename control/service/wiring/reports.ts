import { createReportIntake, type ReportIntake } from "../../api/index.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import { createKnownLoads, type KnownLoads, type PodLoads } from "../../loads/index.ts";
import {
  createBudgets,
  createLedger,
  fullMessage,
  type Ledger,
  recorded,
} from "../../report/index.ts";
import { createFleetLimits } from "../../route/index.ts";
import { createSignalHistory, type SignalHistory } from "../../signals/index.ts";
import type { Fleet } from "../../xds/index.ts";
import type { ServerOptions } from "./options.ts";
import type { Replicas } from "./replicas.ts";

/** What the filters of all replicas' proxies report, and what follows from it. */
export interface Reports extends Pick<ReportIntake, "take" | "namespaces"> {
  ledger: Ledger;
  signals: SignalHistory;
  loads: KnownLoads;
  /** Takes over the limits and the pods of these routes. */
  follow(routes: readonly RouteState[]): void;
}

export interface ReportInputs {
  replicas: Replicas;
  fleet: Pick<Fleet, "reported">;
  /** Loads that pods are asked for; absent: none is asked. */
  podLoads: PodLoads | undefined;
  /** Is called with the node of a proxy that reports a configuration. */
  runs(node: string): void;
  /** Is called for a report that is not counted. */
  refusals(line: string, code: string): void;
}

/** Counts what proxies report to this replica, and what the other replicas hand on. */
export function openReports(
  { log, record, monotonicMs = () => performance.now() }: ServerOptions,
  { replicas: { peers, relay, owns }, fleet, podLoads, runs, refusals }: ReportInputs,
): Reports {
  const ledger = recorded(
    createLedger(Date.now, (...full) => log(fullMessage(...full), "report-full")),
    record,
    (line) => log(line, "record-failed"),
  );
  const limits = createFleetLimits();
  const budgets = createBudgets(limits.of, { decides: owns, nowMs: monotonicMs });
  const loads = createKnownLoads(podLoads, owns, monotonicMs);
  const { take, namespaces } = createReportIntake(
    { fleet, ledger, budgets, loads, elsewhere: peers.has },
    runs,
    refusals,
  );
  peers.onReport((report) => relay.grant(report.node, take(report), loads.of(report)));
  return {
    take,
    namespaces,
    ledger,
    signals: createSignalHistory(ledger),
    loads,
    follow(routes) {
      limits.follow(routes);
      loads.follow(routes);
    },
  };
}
