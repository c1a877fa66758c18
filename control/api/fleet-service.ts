import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Principal } from "../auth/index.ts";
import type { ReportRequest, ReportService } from "../gen/weir/v1/report_pb.ts";
import type { AuditService, FleetService } from "../gen/weir/v1/service_pb.ts";
import { resolveName, routeName } from "../route/index.ts";
import { principal } from "./access.ts";
import type { ApiContext } from "./context.ts";

export function createFleetService({ fleet }: ApiContext): ServiceImpl<typeof FleetService> {
  return {
    listProxies: () => ({ proxies: fleet.list() }),
    async *watchProxies(_request, { signal }) {
      let wake = () => {};
      const stop = fleet.onChange(() => wake());
      const aborted = () => wake();
      signal.addEventListener("abort", aborted);
      try {
        while (!signal.aborted) {
          const changed = new Promise<void>((resolve) => {
            wake = resolve;
          });
          yield { proxies: fleet.list() };
          await changed;
        }
      } finally {
        stop();
        signal.removeEventListener("abort", aborted);
      }
    },
  };
}

export function createAuditService({ store }: ApiContext): ServiceImpl<typeof AuditService> {
  return {
    async listAudit({ name: word, limit }) {
      const names = (await store.list()).routes.flatMap(({ route }) =>
        route ? [routeName(route)] : [],
      );
      const name = word === "" ? "" : resolveName(word, names);
      return { entries: await store.audit(name, Math.min(limit || 100, 10_000)) };
    },
  };
}

export function createReportService({
  fleet,
  ledger,
  budgets,
  scope,
}: ApiContext): ServiceImpl<typeof ReportService> {
  return {
    report(request) {
      const { grants } = principal();
      const everywhere = grants.some(({ namespaces }) => namespaces.includes("*"));
      if (!everywhere && !speaksFor(grants, scope(request.node), request))
        throw new ConnectError(`the report is not of ${request.node}`, Code.PermissionDenied);
      // Two modules of a proxy may be a push apart for a moment; weir.wasm speaks for it.
      if (request.filter === "") fleet.reported(request.node, request.revision);
      ledger.add(request);
      // A module that knows no such limits names no needs, and must not give back another's.
      return request.filter === "" ? { leases: budgets.report(request.node, request.needs) } : {};
    },
  };
}

/**
 * What a proxy of some namespaces says counts for nodes of just these. A node
 * that Istio configures has no namespaces here: it speaks of these routes alone.
 */
function speaksFor(
  grants: Principal["grants"],
  scope: readonly string[],
  { counters, histograms }: ReportRequest,
): boolean {
  const mine = grants.flatMap(({ namespaces }) => namespaces);
  if (scope.length > 0) return String([...mine].sort()) === String(scope);
  // Who has streams of its own has not opened one: it is not the node it speaks of.
  if (grants.some(({ nodes = [] }) => nodes.length > 0)) return false;
  return [...counters, ...histograms].every(({ route }) =>
    mine.includes(route.split("/", 1)[0] ?? ""),
  );
}
