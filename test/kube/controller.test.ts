import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { applyObject } from "../../control/controller/apply.ts";
import { desired } from "../../control/controller/desired.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes, shiftWeights } from "../../control/route/index.ts";
import { mayGoWithout } from "../istio/istio-tools.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { type ConditionSeen, type Controlled, condition, control, get } from "./controlled.ts";
import { eventually } from "./processes.ts";

const canary = readFileSync("examples/canary/route.yaml", "utf8");
const author = { principal: "tester", reason: "test" };
type Json = Record<string, unknown>;
interface Subsets {
  spec: { subsets: { name: string }[] };
}
interface Http {
  spec: { http: { name: string; timeout?: string; route: { weight?: number }[] }[] };
}

describe.skipIf(mayGoWithout)("the controller on a real API server", { timeout: 240_000 }, () => {
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
    const kinds = "virtualservices,destinationrules,trafficextensions,envoyfilters,routechanges";
    await cluster.mustKubectl(["delete", kinds, "--all", "-A", "--wait=true"]);
  });

  const apply = (text: string, ...args: string[]) =>
    cluster.mustKubectl(["apply", "-f", "-", ...args], text);
  const applied = () => condition(cluster, "inference/chat", "Applied", { status: "True" });
  const service = () =>
    get(cluster, "virtualservice", "inference/weir-chat") as unknown as Promise<Http | undefined>;
  const rule = () =>
    get(cluster, "destinationrule", "inference/weir-chat") as unknown as Promise<
      Subsets | undefined
    >;
  const weights = async () =>
    (await service())?.spec.http.at(-1)?.route.map(({ weight }) => weight);
  const changed = (edit: (document: { spec: Json }) => void): string => {
    const document = parse(canary) as { spec: Json };
    edit(document);
    return stringify(document);
  };
  const patch = (kind: string, namespace: string, name: string, body: object, ...args: string[]) =>
    cluster.mustKubectl([
      ...["patch", kind, name, "-n", namespace, "--type=merge", "-p", JSON.stringify(body)],
      ...args,
    ]);

  test("a route that is applied becomes what weir render prints, and says so", async () => {
    await apply(canary);
    await applied();
    const { routes } = parseRoutes(canary);
    const state = create(RouteStateSchema, draftRoute(routes[0] as never, undefined));
    for (const { object } of renderIstio([state]).manifests) {
      const { name, namespace } = object.metadata;
      const live = (await get(cluster, object.kind, `${namespace}/${name}`)) as {
        spec: Json;
        metadata: { managedFields: { manager: string; operation: string }[] };
      };
      expect(live.spec).toEqual(object.spec);
      expect(live.metadata.managedFields).toMatchObject([{ manager: "weir", operation: "Apply" }]);
    }
    const route = (await get(cluster, "inferenceroute", "inference/chat")) as { status: Json };
    expect(route.status).toMatchObject({ observedGeneration: 1, observedRevision: "1" });
    expect((await controlled.store.audit("inference/chat", 1))[0]).toMatchObject({
      action: "apply",
      principal: "kubectl-client-side-apply",
      reason: "edited in the cluster",
    });
  });

  test("a shift through the store reaches the VirtualService, and leaves the rest of the document", async () => {
    await apply(
      canary.replace("requestsPerSecond: 100,", "requestsPerSecond: 100, tokensPerMinute: 600000,"),
    );
    await applied();
    const state = await controlled.store.get("inference/chat");
    const { route } = shiftWeights(state?.route as never, { canary: 30 });
    await controlled.store.put(
      "inference/chat",
      draftRoute(route as never, state),
      "1",
      "shift",
      author,
    );
    await eventually(async () => String(await weights()) === "70,30", "the weights are 70, 30");
    const live = (await get(cluster, "inferenceroute", "inference/chat")) as {
      spec: { variants: { weight: number }[]; rateLimit: { tiers: { gold: Json } } };
    };
    expect(live.spec.variants.map(({ weight }) => weight)).toEqual([70, 30]);
    // Written as a number by its owner, though proto JSON would write a string.
    expect(live.spec.rateLimit.tiers.gold.tokensPerMinute).toBe(600000);
  });

  test("A12: what others add stays, what others change is undone and shown", async () => {
    await apply(canary);
    await applied();
    await patch("virtualservice", "inference", "weir-chat", {
      metadata: { annotations: { "argocd.argoproj.io/tracking-id": "x" } },
      spec: { exportTo: ["."] },
    });
    await patch("destinationrule", "inference", "weir-chat", {
      spec: { trafficPolicy: { loadBalancer: { simple: "RANDOM" } } },
    });
    const { message } = await condition(cluster, "inference/chat", "Drifted", {
      reason: "Corrected",
    });
    expect(message).toMatch(/DestinationRule inference\/weir-chat: .*simple.*kubectl-patch/);
    expect(JSON.stringify(await rule())).toContain("LEAST_REQUEST");
    expect(await service()).toMatchObject({
      metadata: { annotations: { "argocd.argoproj.io/tracking-id": "x" } },
      spec: { exportTo: ["."] },
    });
  });

  test("an object that is deleted by hand comes back", async () => {
    await apply(canary);
    await applied();
    await cluster.mustKubectl(["delete", "destinationrule", "weir-chat", "-n", "inference"]);
    await eventually(async () => (await rule()) !== undefined, "the DestinationRule is back");
  });

  test("with drift paused an edit stays, and is shown until it is taken back", async () => {
    await controlled.close();
    controlled = control(cluster, { drift: "pause" });
    await apply(canary);
    await applied();
    const simple = (word: string) =>
      patch("destinationrule", "inference", "weir-chat", {
        spec: { trafficPolicy: { loadBalancer: { simple: word } } },
      });
    await simple("RANDOM");
    const { message } = await condition(cluster, "inference/chat", "Drifted", { reason: "Paused" });
    expect(message).toMatch(/DestinationRule inference\/weir-chat was edited/);
    expect(JSON.stringify(await rule())).toContain("RANDOM");
    await simple("LEAST_REQUEST");
    await condition(cluster, "inference/chat", "Drifted", { status: "False" });
  });

  test("fields that another tool applies are not fought over", async () => {
    await apply(canary);
    await applied();
    const theirs = {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "weir-chat", namespace: "inference" },
      spec: { host: "llm", trafficPolicy: { loadBalancer: { simple: "RANDOM" } } },
    };
    await apply(
      JSON.stringify(theirs),
      "--server-side",
      "--field-manager=argocd-controller",
      "--force-conflicts",
    );
    const { message } = await condition(cluster, "inference/chat", "Applied", {
      reason: "FieldConflict",
    });
    expect(message).toContain('(by "argocd-controller")');
    expect(JSON.stringify(await rule())).toContain("RANDOM");
  });

  test("an object of someone else is left alone, and nothing that needs it is applied", async () => {
    const foreign = {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "weir-chat", namespace: "inference" },
      spec: { host: "llm" },
    };
    await apply(JSON.stringify(foreign));
    await apply(canary);
    const { message } = await condition(cluster, "inference/chat", "Applied", {
      reason: "Foreign",
    });
    expect(message).toContain("DestinationRule inference/weir-chat is there already");
    expect(await service()).toBeUndefined();
    await cluster.mustKubectl(["delete", "destinationrule", "weir-chat", "-n", "inference"]);
    controlled.controller.poke();
    await applied();
    expect(await service()).toBeDefined();
  });

  test("a spec that weir refuses does not replace the one in force", async () => {
    await apply(canary);
    await applied();
    await apply(canary.replace("name: chat", "name: chat2"));
    await condition(cluster, "inference/chat2", "Accepted", { reason: "Invalid" }).then(
      ({ message }) => expect(message).toContain("host chat.example.com belongs to route"),
    );
    await apply(
      changed(({ spec }) =>
        Object.assign(spec, { timeout: undefined, resilience: { timeout: "0s" } }),
      ),
    );
    const { message } = await condition(cluster, "inference/chat", "Accepted", { status: "False" });
    expect(message).toContain("timeout must be at least 0.001s");
    expect((await service())?.spec.http[0]?.timeout).toBe("600s");
    await apply(canary);
    await condition(cluster, "inference/chat", "Accepted", { status: "True" });
  });

  test("a subset goes only after the last match on it, and a route's rule after its matches", async () => {
    const three = changed(({ spec }) => {
      (spec.variants as Json[]).push({
        name: "next",
        weight: 0,
        labels: { version: "v3" },
        endpoints: ["127.0.0.1:9003"],
      });
    });
    await apply(three);
    await applied();
    const seen: string[] = [];
    const watcher = watchOrder(cluster, seen);
    await apply(canary);
    await eventually(async () => (await rule())?.spec.subsets.length === 2, "two subsets are left");
    expect(seen.indexOf("VirtualService without next")).toBeGreaterThanOrEqual(0);
    expect(seen.indexOf("DestinationRule without next")).toBeGreaterThan(
      seen.indexOf("VirtualService without next"),
    );
    await cluster.mustKubectl([
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
    const left = await cluster.mustKubectl([
      "get",
      "virtualservices,destinationrules,trafficextensions,envoyfilters",
      "-A",
      "-o",
      "name",
    ]);
    expect(left).toBe("");
  });

  test("Git owns the document and a shift the weights, whoever applies what", async () => {
    const git = (edit: (spec: Json) => void) =>
      apply(
        changed(({ spec }) => edit(spec)),
        ...["--server-side", "--field-manager=kustomize-controller", "--force-conflicts"],
      );
    await git(() => {});
    await applied();
    const state = await controlled.store.get("inference/chat");
    const { route } = shiftWeights(state?.route as never, { canary: 30 });
    const draft = draftRoute(route as never, state);
    await controlled.store.put("inference/chat", draft, state?.etag ?? "", "shift", author);
    await eventually(async () => String(await weights()) === "70,30", "the weights are 70, 30");
    // From now on Git says nothing of weights.
    await git((spec) => {
      for (const variant of spec.variants as Json[]) delete variant.weight;
      Object.assign(spec, { resilience: { timeout: "300s" } });
    });
    await eventually(
      async () => (await service())?.spec.http[0]?.timeout === "300s",
      "Git's change is followed",
    );
    expect(await weights()).toEqual([70, 30]);
    await applied();
    // What a person adds to the route stays too, metadata and spec.
    await patch("inferenceroute", "inference", "chat", {
      metadata: { annotations: { "example.com/ticket": "7" } },
      spec: { headers: { response: { set: { "x-served-by": "chat" } } } },
    });
    await git((spec) => {
      for (const variant of spec.variants as Json[]) delete variant.weight;
      Object.assign(spec, { resilience: { timeout: "400s" } });
    });
    await eventually(
      async () => (await service())?.spec.http[0]?.timeout === "400s",
      "Git's next change is followed",
    );
    const live = await get(cluster, "inferenceroute", "inference/chat");
    expect(live).toMatchObject({
      metadata: { annotations: { "example.com/ticket": "7" } },
      spec: { headers: { response: { set: { "x-served-by": "chat" } } } },
    });
    expect(JSON.stringify(await service())).toContain('"x-served-by":"chat"');
    expect(await weights()).toEqual([70, 30]);
  });

  test("routes that come to share a Service share its rule, and their own ones go", async () => {
    await apply(canary);
    await applied();
    const other = canary.replace("name: chat", "name: search").replace("chat.ex", "search.ex");
    await apply(other);
    await condition(cluster, "inference/search", "Applied", { status: "True" });
    const rules = async () => cluster.mustKubectl(["get", "destinationrules", "-A", "-o", "name"]);
    const named = (name: string) => `destinationrule.networking.istio.io/${name}\n`;
    await eventually(async () => (await rules()) === named("weir-llm.service"), "one is left");
    await cluster.mustKubectl(["delete", "inferenceroute", "search", "-n", "inference"]);
    await eventually(async () => (await rules()) === named("weir-chat"), "it is chat's again");
    await applied();
  });

  test("an object that is larger than the API server takes is told, not tried again", async () => {
    const client = cluster.client();
    for (const bytes of [1_700_000, 2_100_000, 5_000_000]) {
      const pluginConfig = { filler: "x".repeat(bytes) };
      const spec = { wasm: { url: "file:///etc/weir/weir.wasm", pluginConfig } };
      const metadata = { name: "huge", namespace: "inference", labels: {}, annotations: {} };
      const kind = "TrafficExtension";
      const apiVersion = "extensions.istio.io/v1alpha1";
      const huge = desired({ apiVersion, kind, metadata, spec }, "weir");
      const { problem } = await applyObject(client, huge, "correct");
      expect(problem).toMatchObject({ reason: "Refused" });
      expect(problem?.message).toContain("TrafficExtension inference/huge is larger than");
    }
    client.close();
  });

  test("only what this instance applied is pruned", async () => {
    const { routes } = parseRoutes(canary.replaceAll("chat", "byhand"));
    const state = create(RouteStateSchema, draftRoute(routes[0] as never, undefined));
    await apply(toYaml(renderIstio([state]).manifests));
    await apply(canary);
    await applied();
    await cluster.mustKubectl([
      "delete",
      "inferenceroute",
      "chat",
      "-n",
      "inference",
      "--wait=true",
    ]);
    const left = await cluster.mustKubectl(["get", "virtualservices", "-A", "-o", "name"]);
    expect(left).toBe("virtualservice.networking.istio.io/weir-byhand\n");
  });

  test("an API server that goes away in the middle is resumed, never with half a route", async () => {
    await apply(canary);
    await applied();
    const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
    const many = names.map((name) =>
      canary
        .replace("name: chat", `name: ${name}`)
        .replace("chat.example.com", `${name}.example.com`)
        // Routes of one Service would share one DestinationRule.
        .replace("name: llm", `name: ${name}`),
    );
    await apply(many.join("\n---\n"));
    await eventually(
      async () =>
        (await cluster.kubectl(["get", "destinationrule", "weir-r3", "-n", "inference"])).code ===
        0,
      "some are applied",
      30_000,
      5,
    );
    await cluster.stopServer();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await cluster.startServer();
    const subsetsOf = new Map<string, string[]>();
    const objects = async (kind: string) =>
      (
        JSON.parse(await cluster.mustKubectl(["get", kind, "-A", "-o", "json"])) as {
          items: { metadata: { name: string }; status?: { conditions?: ConditionSeen[] } }[];
        }
      ).items;
    for (const each of (await objects("destinationrules")) as never as (Subsets & {
      metadata: { name: string };
    })[])
      subsetsOf.set(
        each.metadata.name,
        each.spec.subsets.map(({ name }) => name),
      );
    for (const { metadata } of await objects("virtualservices"))
      expect(subsetsOf.get(metadata.name)).toEqual(["stable", "canary"]);
    await eventually(
      async () => (await objects("virtualservices")).length === 21,
      "all routes are there",
      60_000,
      200,
    );
    const isApplied = ({ status }: { status?: { conditions?: ConditionSeen[] } }) =>
      status?.conditions?.some(({ type, status }) => type === "Applied" && status === "True");
    await eventually(
      async () => (await objects("inferenceroutes")).every(isApplied),
      "all routes say so",
      60_000,
      200,
    );
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
