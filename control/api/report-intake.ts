import type { ReportRequest } from "../gen/weir/v1/report_pb.ts";
import type { ObservedLoads } from "../loads/index.ts";
import type { Budgets, Lease, Ledger } from "../report/index.ts";
import type { Fleet } from "../xds/index.ts";

/** Takes reports of this replica's proxies and of other replicas' proxies. */
export interface ReportIntake {
  /** @returns the shares of limits that this replica decides */
  take(report: ReportRequest): Lease[];
  /** Namespaces that a proxy has reported on; undefined before its first report. */
  namespaces(node: string): ReadonlySet<string> | undefined;
}

/** Proxies beyond this number are forgotten, the ones with the oldest report first. */
const maxProxies = 20_000;

/**
 * Makes the one place where reports come in, from the filters and from other replicas.
 * @param runs is called with the node of a proxy that reports a configuration
 * @param log is called for a report that is not counted
 */
export function createReportIntake(
  {
    fleet,
    ledger,
    budgets,
    loads: { observed },
    elsewhere,
  }: {
    fleet: Pick<Fleet, "reported">;
    ledger: Pick<Ledger, "add">;
    budgets: Pick<Budgets, "report">;
    loads: { observed: Pick<ObservedLoads, "take"> };
    /** Whether a proxy is connected to another replica. */
    elsewhere: (node: string) => boolean;
  },
  runs: (node: string) => void,
  log: (line: string, code: string) => void,
): ReportIntake {
  const spoken = new Map<string, ReadonlySet<string>>();

  function note({ node, counters, histograms }: ReportRequest): void {
    const named = [...counters, ...histograms].map(({ route }) => route.split("/", 1)[0] ?? "");
    const before = spoken.get(node);
    spoken.delete(node);
    if (named.length > 0) spoken.set(node, new Set(named));
    else if (before) spoken.set(node, before);
    const oldest = spoken.keys().next();
    if (spoken.size > maxProxies && !oldest.done) spoken.delete(oldest.value);
  }

  return {
    take(report) {
      const { filter, needs, node, revision } = report;
      if (revision !== "") runs(node);
      // Two modules of a proxy may be a push apart for a moment; weir.wasm speaks for it.
      if (filter === "" && !elsewhere(node)) fleet.reported(node, revision);
      note(report);
      observed.take(report);
      const wrong = ledger.add(report);
      if (wrong) log(`ignored the report of ${node}: ${wrong}`, "report-odd");
      // A module that knows no such limits names no needs, and must not give back another's.
      return filter === "" ? budgets.report(node, needs) : [];
    },
    namespaces: (node) => spoken.get(node),
  };
}
