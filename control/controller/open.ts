import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { RenderOptions } from "../istio/index.ts";
import { createKubeClient, loadClusterConfig } from "../kube/index.ts";
import { openLeader } from "../leader/index.ts";
import type { KubeStore, Store } from "../store/index.ts";
import type { DriftPolicy } from "./apply.ts";
import { type Controller, createController } from "./controller.ts";

/** What a control service does in a cluster, as its command line says. */
export interface ClusterOptions {
  render: RenderOptions;
  /** Told apart from other control services on the same cluster by this. */
  instance: string;
  drift: DriftPolicy;
}

/** A proxy as the controller counts it. */
export interface ReportingProxy {
  reportedRevision: string;
}

/**
 * The controller that belongs to a store in Kubernetes, with a lead and a
 * connection of its own; undefined for other stores.
 * @param address of the store
 * @throws KubeUnreachableError
 */
export function openController(
  address: string,
  store: Store,
  options: ClusterOptions,
  proxies: () => readonly ReportingProxy[],
  log: (line: string, code?: string) => void,
): Controller | undefined {
  if (!isKubeStore(store)) return undefined;
  const client = createKubeClient(loadClusterConfig());
  const leader = openLeader(address, `${hostname()}-${randomUUID().slice(0, 8)}`);
  const controller = createController({
    ...options,
    client,
    store,
    leader,
    proxies: (current, known) => {
      const seen = proxies().filter(({ reportedRevision }) => known.has(reportedRevision));
      const applied = seen.filter(({ reportedRevision }) => reportedRevision === current);
      return { wanted: seen.length, applied: applied.length };
    },
    log,
  });
  return {
    ...controller,
    async close() {
      await controller.close();
      await leader.close();
      client.close();
    },
  };
}

function isKubeStore(store: Store): store is KubeStore {
  return "refused" in store;
}
