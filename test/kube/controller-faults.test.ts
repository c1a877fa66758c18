import { describe, expect, test } from "vitest";
import { applyObject } from "../../control/controller/apply.ts";
import { desired } from "../../control/controller/desired.ts";
import { type ConditionSeen, condition } from "./controlled.ts";
import { canary, controlledCluster, type Subsets } from "./controlled-cluster.ts";
import { eventually } from "./processes.ts";

describe("what cannot be applied, on a real API server", { timeout: 240_000 }, () => {
  const world = controlledCluster();

  test("a spec that weir refuses does not replace the one in force", async () => {
    await world.apply(canary);
    await world.applied();
    await world.apply(canary.replace("name: chat", "name: chat2"));
    await condition(world.cluster, "inference/chat2", "Accepted", { reason: "Invalid" }).then(
      ({ message }) => expect(message).toContain("host chat.example.com already belongs to route"),
    );
    await world.apply(
      world.changed(({ spec }) =>
        Object.assign(spec, { timeout: undefined, resilience: { timeout: "0s" } }),
      ),
    );
    const { message } = await condition(world.cluster, "inference/chat", "Accepted", {
      status: "False",
    });
    expect(message).toContain("timeout must be at least 0.001s");
    expect((await world.service())?.spec.http[0]?.timeout).toBe("600s");
    await world.apply(canary);
    await condition(world.cluster, "inference/chat", "Accepted", { status: "True" });
  });

  test("an object that is larger than the API server takes is told, not tried again", async () => {
    const client = world.cluster.client();
    for (const bytes of [1_700_000, 2_100_000, 5_000_000]) {
      const pluginConfig = { filler: "x".repeat(bytes) };
      const spec = { wasm: { url: "file:///etc/weir/weir.wasm", pluginConfig } };
      const metadata = { name: "huge", namespace: "inference", labels: {}, annotations: {} };
      const kind = "TrafficExtension";
      const apiVersion = "extensions.istio.io/v1alpha1";
      const huge = desired({ apiVersion, kind, metadata, spec }, "weir");
      const { problem } = await applyObject(client, huge, "correct");
      expect(problem).toMatchObject({ reason: "Refused" });
      expect(problem?.message).toContain("TrafficExtension inference/huge is too large for");
    }
    client.close();
  });

  test("an API server that goes away in the middle is resumed, never with half a route", async () => {
    await world.apply(canary);
    await world.applied();
    const names = Array.from({ length: 20 }, (_, i) => `r${i}`);
    const many = names.map((name) =>
      canary
        .replace("name: chat", `name: ${name}`)
        .replace("chat.example.com", `${name}.example.com`)
        // Routes of one Service would share one DestinationRule.
        .replace("name: llm", `name: ${name}`),
    );
    await world.apply(many.join("\n---\n"));
    await eventually(
      async () =>
        (await world.cluster.kubectl(["get", "destinationrule", "weir-r3", "-n", "inference"]))
          .code === 0,
      "some are applied",
      30_000,
      5,
    );
    await world.cluster.stopServer();
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await world.cluster.startServer();
    const subsetsOf = new Map<string, string[]>();
    const objects = async (kind: string) =>
      (
        JSON.parse(await world.cluster.mustKubectl(["get", kind, "-A", "-o", "json"])) as {
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

  test("a gateway and a Service that are not there are told, until they are", async () => {
    await world.apply(canary);
    const refs = (wanted: Partial<ConditionSeen>) =>
      condition(world.cluster, "inference/chat", "ResolvedRefs", wanted);
    const { message } = await refs({ status: "False", reason: "ServiceMissing" });
    expect(message).toBe(
      "spec.service.name: service inference/llm is not in the cluster; " +
        "spec.gateways[0]: gateway istio-system/public is not in the cluster",
    );
    // It is rendered all the same: what is missing may come later.
    await world.applied();
    await world.apply(serviceAndGateway);
    await refs({ status: "True" });
    const { controller } = world.controlled;
    const looks = controller.looks();
    for (let i = 0; i < 3; i++) {
      const passes = controller.passes();
      controller.poke();
      await eventually(async () => controller.passes() > passes, "another pass");
    }
    expect(controller.looks()).toBe(looks);
    await world.cluster.mustKubectl([
      "delete",
      "gateways.networking.istio.io/public",
      "-n",
      "istio-system",
    ]);
    await refs({ status: "False", reason: "GatewayMissing" });
  });

  test("a host that someone else's VirtualService has is told", async () => {
    const theirs = {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name: "by-hand", namespace: "inference" },
      spec: {
        hosts: ["chat.example.com"],
        gateways: ["istio-system/public"],
        http: [{ route: [{ destination: { host: "llm" } }] }],
      },
    };
    await world.apply(`${serviceAndGateway}\n---\n${JSON.stringify(theirs)}`);
    await world.apply(canary);
    const { message } = await condition(world.cluster, "inference/chat", "ResolvedRefs", {
      reason: "HostIsTaken",
    });
    expect(message).toContain(
      "host chat.example.com already belongs to VirtualService inference/by-hand",
    );
  });
});

const serviceAndGateway = `
apiVersion: v1
kind: Service
metadata: { name: llm, namespace: inference }
spec: { selector: { app: llm }, ports: [{ name: http, port: 8000 }] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: public, namespace: istio-system }
spec:
  selector: { istio: ingressgateway }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*"] }]
`;
