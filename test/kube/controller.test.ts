import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes, shiftWeights } from "../../control/route/index.ts";
import type { Cluster } from "./cluster.ts";
import { condition, get } from "./controlled.ts";
import { author, canary, controlledCluster, type Json } from "./controlled-cluster.ts";
import { eventually } from "./processes.ts";

describe("the controller on a real API server", { timeout: 240_000 }, () => {
  const world = controlledCluster();

  test("a route that is applied becomes what weir render prints, and says so", async () => {
    await world.apply(canary);
    await world.applied();
    const { routes } = parseRoutes(canary);
    const state = create(RouteStateSchema, draftRoute(routes[0] as never, undefined));
    for (const { object } of renderIstio([state]).manifests) {
      const { name, namespace } = object.metadata;
      const live = (await get(world.cluster, object.kind, `${namespace}/${name}`)) as {
        spec: Json;
        metadata: { managedFields: { manager: string; operation: string }[] };
      };
      expect(live.spec).toEqual(object.spec);
      expect(live.metadata.managedFields).toMatchObject([{ manager: "weir", operation: "Apply" }]);
    }
    const route = (await get(world.cluster, "inferenceroute", "inference/chat")) as {
      status: Json;
    };
    expect(route.status).toMatchObject({ observedGeneration: 1, observedRevision: "1" });
    expect((await world.controlled.store.audit("inference/chat", 1))[0]).toMatchObject({
      action: "apply",
      principal: "kubectl-client-side-apply",
      reason: "edited in the cluster",
    });
  });

  test("a shift through the store reaches the VirtualService, and leaves the rest of the document", async () => {
    await world.apply(
      canary.replace("requestsPerSecond: 100,", "requestsPerSecond: 100, tokensPerMinute: 600000,"),
    );
    await world.applied();
    const state = await world.controlled.store.get("inference/chat");
    const { route } = shiftWeights(state?.route as never, { canary: 30 });
    await world.controlled.store.put(
      "inference/chat",
      draftRoute(route as never, state),
      "1",
      "shift",
      author,
    );
    await eventually(
      async () => String(await world.weights()) === "70,30",
      "the weights are 70, 30",
    );
    const live = (await get(world.cluster, "inferenceroute", "inference/chat")) as {
      spec: { variants: { weight: number }[]; rateLimit: { tiers: { gold: Json } } };
    };
    expect(live.spec.variants.map(({ weight }) => weight)).toEqual([70, 30]);
    // Written as a number by its owner, though proto JSON would write a string.
    expect(live.spec.rateLimit.tiers.gold.tokensPerMinute).toBe(600000);
  });

  test("a subset goes only after the last match on it, and a route's rule after its matches", async () => {
    const three = world.changed(({ spec }) => {
      (spec.variants as Json[]).push({
        name: "next",
        weight: 0,
        labels: { version: "v3" },
        endpoints: ["127.0.0.1:9003"],
      });
    });
    await world.apply(three);
    await world.applied();
    const seen: string[] = [];
    const watcher = watchOrder(world.cluster, seen);
    await world.apply(canary);
    await eventually(
      async () => (await world.rule())?.spec.subsets.length === 2,
      "two subsets are left",
    );
    expect(seen.indexOf("VirtualService without next")).toBeGreaterThanOrEqual(0);
    expect(seen.indexOf("DestinationRule without next")).toBeGreaterThan(
      seen.indexOf("VirtualService without next"),
    );
    await world.cluster.mustKubectl([
      "delete",
      "inferenceroute",
      "chat",
      "-n",
      "inference",
      "--wait=true",
    ]);
    await eventually(async () => seen.includes("DestinationRule gone"), "the rule is gone");
    watcher.abort();
    expect(seen.indexOf("VirtualService gone")).toBeLessThan(seen.indexOf("DestinationRule gone"));
    const left = await world.cluster.mustKubectl([
      "get",
      "virtualservices,destinationrules,trafficextensions,envoyfilters",
      "-A",
      "-o",
      "name",
    ]);
    expect(left).toBe("");
  });

  test("routes that come to share a Service share its rule, and their own ones go", async () => {
    await world.apply(canary);
    await world.applied();
    const other = canary.replace("name: chat", "name: search").replace("chat.ex", "search.ex");
    await world.apply(other);
    await condition(world.cluster, "inference/search", "Applied", { status: "True" });
    const rules = async () =>
      world.cluster.mustKubectl(["get", "destinationrules", "-A", "-o", "name"]);
    const named = (name: string) => `destinationrule.networking.istio.io/${name}\n`;
    await eventually(async () => (await rules()) === named("weir-llm.service"), "one is left");
    await world.cluster.mustKubectl(["delete", "inferenceroute", "search", "-n", "inference"]);
    await eventually(async () => (await rules()) === named("weir-chat"), "it is chat's again");
    await world.applied();
  });

  test("routes that come to share a host share its VirtualService and the filter that chooses", async () => {
    await world.apply(canary);
    await world.applied();
    const host = "hosts: [chat.example.com]";
    const match = `${host}\n  match: [{ model: { exact: search } }]`;
    await world.apply(canary.replace("name: chat", "name: search").replace(host, match));
    await condition(world.cluster, "inference/search", "Applied", { status: "True" });
    const names = async () =>
      (await world.cluster.mustKubectl(["get", "virtualservices,envoyfilters", "-A", "-o", "name"]))
        .split("\n")
        .map((name) => name.replace(/^.*\//, ""))
        .filter((name) => name !== "")
        .sort();
    const shared = [
      expect.stringMatching(/^weir-\w+$/),
      expect.stringMatching(/^weir-\w+-select$/),
    ];
    const own = expect.stringMatching(/^weir-\w+\.hosts$/);
    await expect.poll(names, { timeout: 30_000 }).toEqual(expect.arrayContaining([...shared, own]));
    await expect.poll(async () => (await names()).length, { timeout: 30_000 }).toBe(3);
    await world.cluster.mustKubectl(["delete", "inferenceroute", "search", "-n", "inference"]);
    await expect.poll(names, { timeout: 30_000 }).toEqual(["weir-chat", "weir-chat.inference"]);
    await world.applied();
  });
});

/** Notes the moments that matter, in the order the API server saw them. */
function watchOrder(cluster: Cluster, seen: string[]): AbortController {
  const stop = new AbortController();
  const client = cluster.client();
  const path = (plural: string) => `/apis/networking.istio.io/v1/namespaces/inference/${plural}`;
  for (const [kind, plural] of [
    ["VirtualService", "virtualservices"],
    ["DestinationRule", "destinationrules"],
  ] as const)
    void (async () => {
      const version = await client.list(path(plural), "", () => {});
      for await (const { type, object } of client.watch(path(plural), "", version, stop.signal)) {
        if (type === "DELETED") seen.push(`${kind} gone`);
        else if (!JSON.stringify(object.spec).includes('"next"')) seen.push(`${kind} without next`);
      }
    })().catch(() => {});
  return stop;
}
