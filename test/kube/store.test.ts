import { afterAll, beforeAll, describe } from "vitest";
import type { KubeClient } from "../../control/kube/index.ts";
import { createKubeStore } from "../../control/store/kube/index.ts";
import { mayGoWithout } from "../istio/istio-tools.ts";
import { storeContract } from "../store/contract.ts";
import { type Cluster, startCluster } from "./cluster.ts";

describe.skipIf(mayGoWithout)("in a real API server", () => {
  let cluster: Cluster;
  let admin: KubeClient;
  beforeAll(async () => {
    cluster = await startCluster();
    admin = cluster.client();
    for (const name of ["weir-system", "inference", "a", "b"])
      cluster.mustKubectl(["create", "namespace", name]);
  }, 40 * 60_000);
  afterAll(async () => {
    admin?.close();
    await cluster?.stop();
  });

  const remove = async () => {
    cluster.mustKubectl(["delete", "inferenceroutes", "--all", "-A", "--wait=true"]);
    cluster.mustKubectl(["delete", "routechanges", "--all", "-A", "--wait=true"]);
  };

  storeContract("kube", async () => ({
    store: createKubeStore({ client: cluster.client(), namespace: "weir-system" }),
    remove,
  }));
});
