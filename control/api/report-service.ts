import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { type Principal, scopeOf } from "../auth/index.ts";
import type { ReportRequest, ReportService } from "../gen/weir/v1/report_pb.ts";
import { principal } from "./access.ts";
import type { ApiContext } from "./context.ts";

/** What reports are checked against, and where they go. */
export type ReportContext = Pick<ApiContext, "onReport" | "loads" | "peers" | "relay" | "scope">;

/** Reports, each answered with the shares and the loads that its proxy goes by. */
export function createReportService(context: ReportContext): ServiceImpl<typeof ReportService> {
  const { onReport, loads, peers, relay } = context;
  return {
    report(request) {
      const wrong = whyNot(principal(), request, context);
      if (wrong !== undefined) throw new ConnectError(wrong, Code.PermissionDenied);
      const leases = onReport(request);
      relay.send(request);
      const granted = peers.granted(request.node);
      return {
        leases: [...leases, ...granted.leases],
        loads: [...loads.of(request), ...granted.loads],
      };
    },
  };
}

/**
 * Why a principal may not say this; undefined when it may. A report speaks for its
 * sender alone: the node that its token is bound to, or one that the sender's own
 * credentials may open a stream as; and only of routes in the sender's namespaces.
 */
function whyNot(
  who: Principal,
  request: ReportRequest,
  { peers, scope }: Pick<ReportContext, "peers" | "scope">,
): string | undefined {
  const { node } = request;
  const namespaces = who.report ? who.report.namespaces : scopeOf(who, node);
  const streams = scope(node).length > 0 || peers.has(node);
  // One token serves all proxies that Istio gives it to; no proxy with a stream is one of them.
  const other = who.report?.node === undefined ? who.report && streams : who.report.node !== node;
  if (namespaces === undefined || other) return `the report does not come from ${node}`;
  if (namespaces.includes("*")) return undefined;
  // Who has streams of its own and has not opened one is not the node it speaks of.
  if (who.report === undefined && !streams) return `${node} has no open xDS stream`;
  const { counters, histograms, needs, saturations } = request;
  const foreign = [...counters, ...histograms, ...needs, ...saturations].find(
    ({ route }) => !namespaces.includes(route.split("/", 1)[0] ?? ""),
  );
  return foreign && `the report names route ${foreign.route}, which ${node} does not serve`;
}
