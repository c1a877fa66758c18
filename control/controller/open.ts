import type { RenderOptions, ReportTo } from "../istio/index.ts";
import { createKubeClient, loadClusterConfig } from "../kube/index.ts";
import type { Leader } from "../leader/index.ts";
import type { KubeStore, Store } from "../store/index.ts";
import type { DriftPolicy } from "./apply.ts";
import { type Controller, createController } from "./controller.ts";

/** Options of a control service in a cluster, from its command line. */
export interface ClusterOptions {
  render: RenderOptions;
  /** Told apart from other control services on the same cluster by this. */
  instance: string;
  drift: DriftPolicy;
  /** What was applied for routes goes even while the store is new. */
  acceptEmpty?: boolean;
  /** How the filters' reports prove what they are. */
  reportAccess?: Pick<ReportTo, "tokenFor" | "certificateSha256">;
}

/** The proxies as the controller counts them. */
export interface ReportingProxies {
  list(): readonly { reportedRevision: string }[];
  onChange(listener: () => void): () => void;
}

/**
 * Makes the controller of a store in Kubernetes, with a connection of its own; undefined for other
 * stores.
 * @param leader of this process: a second one would compete for the same lease
 * @throws KubeUnreachableError
 */
export function openController(
  store: Store,
  leader: Pick<Leader, "current" | "onChange">,
  { reportAccess, ...options }: ClusterOptions,
  proxies: ReportingProxies,
  log: (line: string, code?: string) => void,
): Controller | undefined {
  if (!isKubeStore(store)) return undefined;
  const client = createKubeClient(loadClusterConfig());
  const { report } = options.render;
  const controller = createController({
    ...options,
    render: { ...options.render, report: report && proven(report, reportAccess) },
    client,
    store,
    leader,
    proxies: (current, known) => {
      const seen = proxies.list().filter(({ reportedRevision }) => known.has(reportedRevision));
      const applied = seen.filter(({ reportedRevision }) => reportedRevision === current);
      return { wanted: seen.length, applied: applied.length };
    },
    log,
  });
  const stopListening = proxies.onChange(controller.pokeLater);
  return {
    ...controller,
    async close() {
      stopListening();
      await controller.close();
      client.close();
    },
  };
}

/** No more of it than belongs there: the certificate's key stands beside its digest. */
function proven(
  report: ReportTo,
  { tokenFor, certificateSha256 }: NonNullable<ClusterOptions["reportAccess"]> = {},
): ReportTo {
  return { ...report, tokenFor, certificateSha256 };
}

function isKubeStore(store: Store): store is KubeStore {
  return "refused" in store;
}
