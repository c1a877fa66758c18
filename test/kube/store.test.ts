import { afterAll, beforeAll, describe } from "vitest";
import type { KubeClient } from "../../control/kube/index.ts";
import { createKubeLease } from "../../control/leader/index.ts";
import { createKubeStore } from "../../control/store/kube/index.ts";
import { mayGoWithout } from "../istio/istio-tools.ts";
import { leaseContract } from "../leader/contract.ts";
import { storeContract } from "../store/contract.ts";
import { type Cluster, startCluster } from "./cluster.ts";

describe.skipIf(mayGoWithout)("in a real API server", () => {
  let cluster: Cluster;
  let admin: KubeClient;
  beforeAll(async () => {
    cluster = await startCluster();
    admin = cluster.client();
    for (const name of ["weir-system", "inference", "a", "b"])
      await cluster.mustKubectl(["create", "namespace", name]);
  }, 40 * 60_000);
  afterAll(async () => {
    admin?.close();
    await cluster?.stop();
  });

  const remove = async () => {
    await cluster.mustKubectl(["delete", "inferenceroutes", "--all", "-A", "--wait=true"]);
    await cluster.mustKubectl(["delete", "routechanges", "--all", "-A", "--wait=true"]);
  };

  leaseContract("a Lease", async () => {
    const client = cluster.client();
    return {
      lease: (name, ttlMs) => createKubeLease(client, "weir-system", "weir", name, ttlMs),
      async close() {
        await cluster.mustKubectl(["delete", "leases", "--all", "-n", "weir-system"]);
        client.close();
      },
    };
  });

  storeContract("kube", async () => ({
    store: createKubeStore({ client: cluster.client(), namespace: "weir-system" }),
    remove,
  }));
});
