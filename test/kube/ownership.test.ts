import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "../../control/istio/index.ts";
import { draftRoute, parseRoutes, shiftWeights } from "../../control/route/index.ts";
import { condition, get } from "./controlled.ts";
import { author, canary, controlledCluster, type Json } from "./controlled-cluster.ts";
import { eventually } from "./processes.ts";

describe("objects that others touch too, on a real API server", { timeout: 240_000 }, () => {
  const world = controlledCluster();

  test("A12: what others add stays, what others change is undone and shown", async () => {
    await world.apply(canary);
    await world.applied();
    await world.patch("virtualservice", "inference", "weir-chat", {
      metadata: { annotations: { "argocd.argoproj.io/tracking-id": "x" } },
      spec: { exportTo: ["."] },
    });
    await world.patch("destinationrule", "inference", "weir-chat", {
      spec: { trafficPolicy: { loadBalancer: { simple: "RANDOM" } } },
    });
    const { message } = await condition(world.cluster, "inference/chat", "Drifted", {
      reason: "Corrected",
    });
    expect(message).toMatch(/DestinationRule inference\/weir-chat: .*simple.*kubectl-patch/);
    expect(JSON.stringify(await world.rule())).toContain("LEAST_REQUEST");
    expect(await world.service()).toMatchObject({
      metadata: { annotations: { "argocd.argoproj.io/tracking-id": "x" } },
      spec: { exportTo: ["."] },
    });
  });

  test("an object that is deleted by hand comes back", async () => {
    await world.apply(canary);
    await world.applied();
    await world.cluster.mustKubectl(["delete", "destinationrule", "weir-chat", "-n", "inference"]);
    await eventually(async () => (await world.rule()) !== undefined, "the DestinationRule is back");
  });

  test("with drift paused an edit stays, and is shown until it is taken back", async () => {
    await world.controlAnew({ drift: "pause" });
    await world.apply(canary);
    await world.applied();
    const simple = (word: string) =>
      world.patch("destinationrule", "inference", "weir-chat", {
        spec: { trafficPolicy: { loadBalancer: { simple: word } } },
      });
    await simple("RANDOM");
    const { message } = await condition(world.cluster, "inference/chat", "Drifted", {
      reason: "Paused",
    });
    expect(message).toMatch(/DestinationRule inference\/weir-chat was edited/);
    expect(JSON.stringify(await world.rule())).toContain("RANDOM");
    await simple("LEAST_REQUEST");
    await condition(world.cluster, "inference/chat", "Drifted", { status: "False" });
  });

  test("fields that another tool applies are not fought over", async () => {
    await world.apply(canary);
    await world.applied();
    const theirs = {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "weir-chat", namespace: "inference" },
      spec: { host: "llm", trafficPolicy: { loadBalancer: { simple: "RANDOM" } } },
    };
    await world.apply(
      JSON.stringify(theirs),
      "--server-side",
      "--field-manager=argocd-controller",
      "--force-conflicts",
    );
    const { message } = await condition(world.cluster, "inference/chat", "Applied", {
      reason: "FieldConflict",
    });
    expect(message).toContain('(by "argocd-controller")');
    expect(JSON.stringify(await world.rule())).toContain("RANDOM");
  });

  test("an object of someone else is left alone, and nothing that needs it is applied", async () => {
    const foreign = {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "weir-chat", namespace: "inference" },
      spec: { host: "llm" },
    };
    await world.apply(JSON.stringify(foreign));
    await world.apply(canary);
    const { message } = await condition(world.cluster, "inference/chat", "Applied", {
      reason: "Foreign",
    });
    expect(message).toContain("DestinationRule inference/weir-chat already exists");
    expect(await world.service()).toBeUndefined();
    await world.cluster.mustKubectl(["delete", "destinationrule", "weir-chat", "-n", "inference"]);
    world.controlled.controller.poke();
    await world.applied();
    expect(await world.service()).toBeDefined();
  });

  test("Git owns the document and a shift the weights, whoever applies what", async () => {
    const git = (edit: (spec: Json) => void) =>
      world.apply(
        world.changed(({ spec }) => edit(spec)),
        ...["--server-side", "--field-manager=kustomize-controller", "--force-conflicts"],
      );
    await git(() => {});
    await world.applied();
    const state = await world.controlled.store.get("inference/chat");
    const { route } = shiftWeights(state?.route as never, { canary: 30 });
    const draft = draftRoute(route as never, state);
    await world.controlled.store.put("inference/chat", draft, state?.etag ?? "", "shift", author);
    await eventually(
      async () => String(await world.weights()) === "70,30",
      "the weights are 70, 30",
    );
    // From now on Git says nothing of weights.
    const gitSetsTimeout = async (timeout: string) => {
      await git((spec) => {
        for (const variant of spec.variants as Json[]) delete variant.weight;
        Object.assign(spec, { resilience: { timeout } });
      });
      await eventually(
        async () => (await world.service())?.spec.http[0]?.timeout === timeout,
        `Git's change to ${timeout} is followed`,
      );
    };
    await gitSetsTimeout("300s");
    expect(await world.weights()).toEqual([70, 30]);
    await world.applied();
    // What a person adds to the route stays too, metadata and spec.
    await world.patch("inferenceroute", "inference", "chat", {
      metadata: { annotations: { "example.com/ticket": "7" } },
      spec: { headers: { response: { set: { "x-served-by": "chat" } } } },
    });
    await gitSetsTimeout("400s");
    const live = await get(world.cluster, "inferenceroute", "inference/chat");
    expect(live).toMatchObject({
      metadata: { annotations: { "example.com/ticket": "7" } },
      spec: { headers: { response: { set: { "x-served-by": "chat" } } } },
    });
    expect(JSON.stringify(await world.service())).toContain('"x-served-by":"chat"');
    expect(await world.weights()).toEqual([70, 30]);
  });

  test("only what this instance applied is pruned", async () => {
    const { routes } = parseRoutes(canary.replaceAll("chat", "byhand"));
    const state = create(RouteStateSchema, draftRoute(routes[0] as never, undefined));
    await world.apply(toYaml(renderIstio([state]).manifests));
    await world.apply(canary);
    await world.applied();
    await world.cluster.mustKubectl([
      "delete",
      "inferenceroute",
      "chat",
      "-n",
      "inference",
      "--wait=true",
    ]);
    const left = await world.cluster.mustKubectl(["get", "virtualservices", "-A", "-o", "name"]);
    expect(left).toBe("virtualservice.networking.istio.io/weir-byhand\n");
  });
});
