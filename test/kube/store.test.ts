import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KubeClient } from "../../control/kube/index.ts";
import { createKubeLease } from "../../control/leader/index.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, readContents, writeBackup } from "../../control/store/index.ts";
import { createKubeStore } from "../../control/store/kube/index.ts";
import { leaseContract } from "../leader/contract.ts";
import { messageWith } from "../route/documents.ts";
import { storeContract } from "../store/contract.ts";
import { type Cluster, startCluster } from "./cluster.ts";

describe("in a real API server", () => {
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

  it("takes the backup of another store, with every etag and every audit entry", {
    timeout: 120_000,
  }, async () => {
    await remove();
    const from = openStore("memory");
    const author = { principal: "ada", reason: "backup" };
    const draft = (canary: number) =>
      draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);
    for (const canary of [1, 2, 3])
      await from.put("inference/chat", draft(canary), "", "shift", author);
    const gone = await from.put("inference/old", draft(5), "", "apply", author);
    await from.delete("inference/old", gone.etag, author);
    const contents = await readContents(from);
    await from.close();

    const into = createKubeStore({ client: cluster.client(), namespace: "weir-system" });
    await into.restore?.(contents);
    expect(writeBackup(await readContents(into))).toBe(writeBackup(contents));
    await expect(into.restore?.(contents)).rejects.toThrow("the store is not empty");
    await into.close();
    const again = createKubeStore({ client: cluster.client(), namespace: "weir-system" });
    expect(writeBackup(await readContents(again))).toBe(writeBackup(contents));
    await again.close();
    const names = ["get", "inferenceroutes", "-A", "-o", "name"];
    expect(await cluster.mustKubectl(names)).toBe("inferenceroute.weir.dev/chat\n");
    await remove();
  });

  it("keeps its routes when their kind goes from the cluster, and writes them again when it is back", {
    timeout: 240_000,
  }, async () => {
    await remove();
    const said: string[] = [];
    const open = () =>
      createKubeStore({
        client: cluster.client(),
        namespace: "weir-system",
        log: (line) => said.push(line),
      });
    const author = { principal: "ada", reason: "loss" };
    const store = open();
    await store.put(
      "inference/chat",
      draftRoute(messageWith({ stable: 90, canary: 10 }), undefined),
      "",
      "apply",
      author,
    );
    const before = await store.list();
    const crd = "inferenceroutes.weir.dev";
    await cluster.mustKubectl(["delete", "crd", crd, "--wait=true"]);
    await expect
      .poll(() => said.join("\n"), { timeout: 60_000 })
      .toMatch(/last known version stays in use|cannot follow/);
    await expect.poll(() => store.staleSince?.(), { timeout: 60_000 }).toBeInstanceOf(Date);
    expect(await store.list()).toEqual(before);
    // A service that starts meanwhile knows nothing, and says so.
    const other = open();
    await expect(other.list()).rejects.toThrow(/the cluster does not serve .*inferenceroutes/);
    await other.close();
    await cluster.mustKubectl(["apply", "--server-side", "-f", "istio/chart/crds/crds.yaml"]);
    const names = ["get", "inferenceroutes", "-A", "-o", "name"];
    await expect
      .poll(async () => (await cluster.kubectl(names)).stdout, { timeout: 90_000 })
      .toBe("inferenceroute.weir.dev/chat\n");
    expect((await store.list()).routes.map(({ etag }) => etag)).toEqual(["1"]);
    expect(store.staleSince?.()).toBeUndefined();
    // One that is deleted while the kind is there is gone.
    await cluster.mustKubectl(["delete", "inferenceroute", "chat", "-n", "inference"]);
    await expect.poll(async () => (await store.list()).routes, { timeout: 60_000 }).toEqual([]);
    await store.close();
    await remove();
  });
});
