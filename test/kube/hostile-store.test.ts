import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import type { Store } from "../../control/store/index.ts";
import {
  createKubeStore,
  type KubeStore,
  stateAnnotation,
} from "../../control/store/kube/index.ts";
import { messageWith } from "../route/documents.ts";
import { type Cluster, startCluster } from "./cluster.ts";

const author = { principal: "ada", reason: "hostile" };
const soon = { timeout: 60_000 };

function draft(name: string, canary = 10) {
  const route = messageWith({ stable: 100 - canary, canary });
  const [namespace = "", local = ""] = name.split("/");
  Object.assign(route.metadata ?? {}, { namespace, name: local });
  if (route.spec) route.spec.hosts = [`${local}.${namespace}.example.com`];
  return draftRoute(route, undefined);
}

describe("a store in a cluster where others may write anything", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    for (const name of ["weir-system", "a", "b"])
      await cluster.mustKubectl(["create", "namespace", name]);
    await cluster.mustKubectl(["apply", "-n", "weir-system", "-f", "istio/base/rbac.yaml"]);
  }, 40 * 60_000);
  afterAll(async () => {
    await cluster?.stop();
  });

  function open(user?: string): { store: KubeStore; said: string[] } {
    const said: string[] = [];
    const client = cluster.client(user);
    const store = createKubeStore({
      client,
      namespace: "weir-system",
      log: (line) => said.push(line),
    });
    onTestFinished(() => store.close());
    return { store, said };
  }
  const etags = async (store: Store) =>
    (await store.list()).routes.map(({ route, etag }) => `${route?.metadata?.namespace} ${etag}`);

  it("forged bookkeeping and changes harm the object that they are in alone", {
    timeout: 240_000,
  }, async () => {
    const { store, said } = open();
    await store.put("a/chat", draft("a/chat"), "", "apply", author);
    await store.put("b/chat", draft("b/chat"), "", "apply", author);
    const annotate = (text: string) =>
      cluster.mustKubectl([
        ...["annotate", "inferenceroute", "chat", "-n", "a", "--overwrite"],
        `${stateAnnotation}=${text}`,
      ]);
    for (const text of ["null", '{"sequence":"9000000000000000"}', "x".repeat(100_000)]) {
      await annotate(text);
      await store.put("b/chat", draft("b/chat", 20), "", "shift", author);
    }
    // The spec is right, only the note about it was not: it is written again, and nothing has changed.
    await expect
      .poll(
        () => cluster.mustKubectl(["get", "inferenceroute", "chat", "-n", "a", "-o", "yaml"]),
        soon,
      )
      .toContain('"sequence":"1"');
    expect((await etags(store))[0]).toBe("a 1");
    // Changes by hand: garbage under the next number, far behind it, and in other namespaces.
    const change = (name: string, namespace = "weir-system") =>
      JSON.stringify({
        apiVersion: "weir.dev/v1alpha1",
        kind: "RouteChange",
        metadata: { name, namespace },
        spec: {
          sequence: 1,
          route: "b/chat",
          action: "apply",
          principal: "eve",
          reason: "",
          at: new Date(0).toISOString(),
          entry: "Z2FyYmFnZQ==",
          effect: "delete",
          rollout: false,
          fence: "999",
        },
      });
    const newest = (await store.list()).sequence;
    const number = (sequence: bigint) => `change-${String(sequence).padStart(16, "0")}`;
    for (const [name, namespace] of [
      [number(newest + 1n), "weir-system"],
      [number(newest + 500n), "weir-system"],
      ["change-9999999999999999", "weir-system"],
      [number(newest + 2n), "a"],
    ] as const)
      await cluster.mustKubectl(["create", "-f", "-"], change(name, namespace));
    await store.put("a/chat", draft("a/chat", 30), "1", "shift", author);
    await store.put("b/chat", draft("b/chat", 40), "", "shift", author);
    expect(said.join("\n")).toContain(`the audit entry ${number(newest + 1n)} is damaged`);
    const { store: other } = open();
    expect(await etags(other)).toEqual(await etags(store));
    expect(await etags(other)).toEqual([`a ${newest + 2n}`, `b ${newest + 3n}`]);
    expect((await other.audit("", 3)).map(({ action }) => action)).toEqual([
      "shift",
      "shift",
      "damaged",
    ]);
  });

  it("keeps its routes when its rights are taken away, says since when, and resumes", {
    timeout: 240_000,
  }, async () => {
    const { store } = open("weir-system/weir");
    await store.put("a/kept", draft("a/kept"), "", "apply", author);
    const before = await store.list();
    await cluster.mustKubectl(["delete", "clusterrolebinding", "weir"]);
    await cluster.mustKubectl(["delete", "rolebinding", "weir", "-n", "weir-system"]);
    await expect
      .poll(
        () => store.put("a/kept", draft("a/kept", 20), "", "shift", author).then(String, String),
        soon,
      )
      .toMatch(/forbidden/);
    // A watch that is open goes on for a while; with it gone there is nothing to follow.
    await cluster.stopServer();
    await cluster.startServer();
    await expect.poll(() => store.staleSince?.(), soon).toBeInstanceOf(Date);
    expect(await store.list()).toEqual(before);
    const { store: late } = open("weir-system/weir");
    await expect(late.list()).rejects.toThrow(/forbidden/);
    await cluster.mustKubectl(["apply", "-n", "weir-system", "-f", "istio/base/rbac.yaml"]);
    await expect.poll(() => store.staleSince?.(), soon).toBeUndefined();
    expect(await store.list()).toEqual(before);
    const etag = before.routes.find(({ route }) => route?.metadata?.name === "kept")?.etag ?? "";
    await expect
      .poll(
        () =>
          store
            .put("a/kept", draft("a/kept", 30), etag, "shift", author)
            .then(() => "done", String),
        soon,
      )
      .toBe("done");
  });

  it("does not start where the kinds of its routes and changes are gone, and names them", {
    timeout: 240_000,
  }, async () => {
    const told = () => open().store.list().then(String, String);
    await cluster.mustKubectl(["delete", "crd", "routechanges.weir.dev"]);
    await expect
      .poll(told, soon)
      .toMatch(/does not serve .*routechanges.*kubectl apply -f istio\/chart\/crds\/crds\.yaml/);
    await cluster.mustKubectl(["delete", "crd", "inferenceroutes.weir.dev"]);
    await expect.poll(told, soon).toMatch(/does not serve .*istio\/chart\/crds\/crds\.yaml/);
  });
});
