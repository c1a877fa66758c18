import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Principal } from "../auth/index.ts";
import type { ReportRequest, ReportService } from "../gen/weir/v1/report_pb.ts";
import type { AuditService, FleetService, Proxy } from "../gen/weir/v1/service_pb.ts";
import { resolveName, routeName } from "../route/index.ts";
import { principal } from "./access.ts";
import type { ApiContext } from "./context.ts";

export function createFleetService({ fleet, peers }: ApiContext): ServiceImpl<typeof FleetService> {
  const all = () => wholeFleet({ fleet, peers });
  return {
    listProxies: () => ({ proxies: all() }),
    async *watchProxies(_request, { signal }) {
      let wake = () => {};
      const stops = [fleet.onChange(() => wake()), peers.onChange(() => wake())];
      const aborted = () => wake();
      signal.addEventListener("abort", aborted);
      try {
        while (!signal.aborted) {
          const changed = new Promise<void>((resolve) => {
            wake = resolve;
          });
          yield { proxies: all() };
          await changed;
        }
      } finally {
        for (const stop of stops) stop();
        signal.removeEventListener("abort", aborted);
      }
    },
  };
}

/** The proxies of all replicas, each once. */
export function wholeFleet({ fleet, peers }: Pick<ApiContext, "fleet" | "peers">): Proxy[] {
  const own = fleet.list();
  const here = new Set(own.filter(({ connected }) => connected).map(({ node }) => node));
  const others = peers.proxies().filter(({ node }) => !here.has(node));
  // One that went away from here may be connected elsewhere.
  const there = new Set(others.map(({ node }) => node));
  return [...own.filter(({ node }) => !there.has(node)), ...others].sort((a, b) =>
    a.node < b.node ? -1 : 1,
  );
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
  heard,
  peers,
  relay,
  scope,
}: ApiContext): ServiceImpl<typeof ReportService> {
  return {
    report(request) {
      const { grants } = principal();
      const everywhere = grants.some(({ namespaces }) => namespaces.includes("*"));
      if (!everywhere && !speaksFor(grants, scope(request.node), request))
        throw new ConnectError(`the report is not of ${request.node}`, Code.PermissionDenied);
      const leases = heard(request);
      relay.send(request);
      return { leases: [...leases, ...peers.leases(request.node)] };
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
  { counters, histograms, needs }: ReportRequest,
): boolean {
  const mine = grants.flatMap(({ namespaces }) => namespaces);
  if (scope.length > 0) return String([...mine].sort()) === String(scope);
  // Who has streams of its own has not opened one: it is not the node it speaks of.
  if (grants.some(({ nodes = [] }) => nodes.length > 0)) return false;
  return [...counters, ...histograms, ...needs].every(({ route }) =>
    mine.includes(route.split("/", 1)[0] ?? ""),
  );
}
