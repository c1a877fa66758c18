import type { createGate } from "../../auth/index.ts";
import type { RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { Metrics } from "../../metrics/index.ts";
import { createFilterCode, createHold, createPublisher } from "../../publish/index.ts";
import { type Registry, withPods } from "../../registration/index.ts";
import type { Store } from "../../store/index.ts";
import { sparse } from "../../telemetry/index.ts";
import {
  type Address,
  createFleet,
  createXdsServer,
  type Fleet,
  gatewaySecrets,
  type XdsServer,
} from "../../xds/index.ts";
import { openMetrics } from "./metrics.ts";
import type { ServerOptions } from "./options.ts";
import { onPodsChanged } from "./registrations.ts";
import type { Replicas } from "./replicas.ts";
import { openReports, type ReportInputs, type Reports } from "./reports.ts";

type Publisher = ReturnType<typeof createPublisher>;

/** The proxies of this replica: what they are sent, answer and report. */
export interface ServedFleet extends Pick<Publisher, "published" | "follow"> {
  fleet: Fleet;
  xds: XdsServer;
  reports: Reports;
  metrics: Metrics;
  /** Why proxies are sent nothing; undefined while they are served. */
  holds(): string | undefined;
  /** Sends what the store has; the filters report to this address from then on. */
  publish(reportTo: Address): Promise<void>;
  /** Sends nothing that is new any more. */
  close(): void;
}

export interface FleetInputs extends Pick<ReportInputs, "podLoads"> {
  gate: Pick<ReturnType<typeof createGate>, "reports" | "tls">;
  store: Store;
  replicas: Replicas;
  registry: Registry;
  /** Whether whoever reads the audit of a route may see a namespace. */
  sees(namespace: string, route: string): boolean;
}

/** Makes what serves proxies. Nothing is sent before the first publication. @throws Error where a filter is missing */
export function openFleet(
  options: ServerOptions,
  { gate: { reports: tokens, tls }, store, replicas, registry, podLoads, sees }: FleetInputs,
): ServedFleet {
  const { log } = options;
  const hold = createHold(options);
  const refusals = sparse(log);
  const fleet = createFleet();
  const reports = openReports(options, { replicas, fleet, podLoads, runs: hold.runs, refusals });
  const metrics = openMetrics(fleet, reports, replicas, registry);
  const xds = createXdsServer(
    fleet,
    {
      runs: hold.runs,
      holds: hold.holds,
      nack: (node, type, version, message) => {
        metrics.nacked(type);
        refusals(`${node} refused ${type} ${version}: ${message}`, "xds-nack");
      },
    },
    {
      ...(tokens ? { secretOf: tokens.tokenFor } : {}),
      fileSecrets: gatewaySecrets(options.edge?.tls),
    },
  );
  const code = createFilterCode(options);
  // Told at start rather than at the first publication: without it nothing works.
  code("weir");
  let report = options.listen;
  let stored: readonly RouteState[] = [];
  /** Pods that register are asked for their load as those are that a document lists. */
  const followPods = () => reports.follow(stored.map((state) => withPods(state, registry)));
  const publisher = createPublisher({
    store,
    fleet,
    xds,
    report: () => report,
    reportAccess: () => ({
      ...(tokens ? { proven: true } : {}),
      ...(tls ? { certificateSha256: tls.certificateSha256 } : {}),
    }),
    gateway: options.gateway,
    edge: options.edge,
    code,
    registered: registry.ready,
    onRoutes(routes) {
      registry.follow(routes);
      stored = routes;
      followPods();
    },
    mayQuote: (scope, route) => scope.every((namespace) => sees(namespace, route)),
    onStored: hold.stored,
    log,
  });
  const stopFollowing = onPodsChanged(registry, () => {
    publisher.refresh();
    followPods();
  });
  return {
    fleet,
    xds,
    reports,
    metrics,
    holds: hold.reason,
    async publish(reportTo) {
      report = reportTo;
      await publisher.publish();
    },
    published: publisher.published,
    follow: publisher.follow,
    close() {
      stopFollowing();
      publisher.close();
    },
  };
}
