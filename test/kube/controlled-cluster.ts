import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { parse, stringify } from "yaml";
import { type Cluster, startCluster } from "./cluster.ts";
import { type Controlled, condition, control, get } from "./controlled.ts";

export const canary = readFileSync("examples/canary/route.yaml", "utf8");
export const author = { principal: "tester", reason: "test" };
export type Json = Record<string, unknown>;

export interface Subsets {
  spec: { subsets: { name: string }[] };
}

interface Http {
  spec: { http: { name: string; timeout?: string; route: { weight?: number }[] }[] };
}

/**
 * A cluster for a suite and, for each of its tests, a store and a controller
 * on it; what a test leaves in the cluster is removed.
 */
export function controlledCluster() {
  let cluster: Cluster;
  let controlled: Controlled;
  beforeAll(async () => {
    cluster = await startCluster({ istio: true });
    for (const name of ["weir-system", "inference", "istio-system"])
      await cluster.mustKubectl(["create", "namespace", name]);
  }, 40 * 60_000);
  afterAll(() => cluster?.stop());
  beforeEach(() => {
    controlled = control(cluster);
  });
  afterEach(async () => {
    await cluster.mustKubectl(["delete", "inferenceroutes", "--all", "-A", "--wait=true"]);
    await controlled.close();
    const kinds =
      "virtualservices,destinationrules,trafficextensions,envoyfilters,gateways,routechanges";
    await cluster.mustKubectl(["delete", kinds, "--all", "-A", "--wait=true"]);
    const services = ["delete", "services", "--all", "-n", "inference", "--wait=true"];
    await cluster.mustKubectl(services);
  });

  const service = () =>
    get(cluster, "virtualservice", "inference/weir-chat") as unknown as Promise<Http | undefined>;
  return {
    get cluster() {
      return cluster;
    },
    get controlled() {
      return controlled;
    },
    /** Starts the controller of this test anew, with other options. */
    async controlAnew(options: Parameters<typeof control>[1]) {
      await controlled.close();
      controlled = control(cluster, options);
    },
    apply: (text: string, ...args: string[]) =>
      cluster.mustKubectl(["apply", "-f", "-", ...args], text),
    /** Waits until route chat is applied. */
    applied: () => condition(cluster, "inference/chat", "Applied", { status: "True" }),
    service,
    rule: () =>
      get(cluster, "destinationrule", "inference/weir-chat") as unknown as Promise<
        Subsets | undefined
      >,
    weights: async () => (await service())?.spec.http.at(-1)?.route.map(({ weight }) => weight),
    /** The example of a canary, edited. */
    changed(edit: (document: { spec: Json }) => void): string {
      const document = parse(canary) as { spec: Json };
      edit(document);
      return stringify(document);
    },
    patch: (kind: string, namespace: string, name: string, body: object, ...args: string[]) =>
      cluster.mustKubectl([
        ...["patch", kind, name, "-n", namespace, "--type=merge", "-p", JSON.stringify(body)],
        ...args,
      ]),
  };
}
