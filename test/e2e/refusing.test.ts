import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parse, stringify } from "yaml";
import { sha256Hex } from "../../control/auth/index.ts";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { startPod } from "../../control/pods/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { clientsOf } from "../api/clients.ts";
import { local, startQuietServer, urlOf } from "../api/control-server.ts";
import { freePorts } from "../free-ports.ts";
import { routeWithPods } from "../rollout/world.ts";
import { gatewayClient } from "./gateway-client.ts";
import { startTraffic } from "./traffic.ts";

const patience = { timeout: 60_000, interval: 100 };

it("two real Envoys take every shift while a third refuses what it is sent, of another namespace and of theirs, and no request fails", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-refusing-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const access = join(directory, "access.yaml");
  const tokenOf = (namespace: string) => ({
    name: namespace,
    sha256: sha256Hex(namespace),
    role: "proxy",
    namespaces: [namespace],
    nodes: ["*"],
  });
  const root = { name: "root", sha256: sha256Hex("root"), role: "admin" };
  writeFileSync(access, JSON.stringify({ tokens: [root, tokenOf("inference"), tokenOf("teamb")] }));
  const [gateway = 0] = await freePorts(1);
  const server = await startQuietServer({ gateway: local(gateway), access });
  onTestFinished(() => server.close());
  const { routes, audit } = clientsOf(urlOf(server), { token: "root" });
  const pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
  for (const pod of pods) onTestFinished(() => pod.close());
  const route = (namespace: string) => {
    const document = routeWithPods(pods[0]?.port ?? 0, pods[1]?.port ?? 0);
    Object.assign(document.metadata ?? {}, { namespace });
    if (document.spec) {
      document.spec.hosts = [`${namespace}.example.com`];
      for (const tier of Object.values(document.spec.rateLimit?.tiers ?? {}))
        Object.assign(tier, { requestsPerSecond: 50_000, burst: 50_000 });
    }
    return document;
  };
  await routes.applyRoute({ route: route("inference") });
  await routes.applyRoute({ route: route("teamb") });

  const start = async (namespace: string, node: string, old = false) => {
    const [admin = 0] = await freePorts(1);
    const text = bootstrap({ node, xds: server.xds, admin: local(admin), token: namespace });
    const envoy = await startEnvoy({
      binary: await findEnvoy(() => {}),
      bootstrap: old ? withItsOwnListener(text, gateway) : text,
      admin: local(admin),
      concurrency: 1,
    });
    onTestFinished(() => envoy.stop());
  };
  const applied = async (name: string) => {
    const { applied } = await routes.getRoute({ name });
    return {
      applied: applied?.applied,
      wanted: applied?.wanted,
      refused: applied?.behind.flatMap((each) => (each.refused ? [each.node] : [])),
    };
  };
  await start("inference", "one");
  await start("inference", "two");
  await expect
    .poll(() => applied("inference/chat"), patience)
    .toEqual({ applied: 2, wanted: 2, refused: [] });
  const client = gatewayClient(`http://127.0.0.1:${gateway}`, 4);
  onTestFinished(() => client.close());
  const traffic = startTraffic(client, "inference.example.com", 20);
  onTestFinished(() => traffic.stop());

  for (const [namespace, node, wanted, refused] of [
    ["teamb", "three", 2, []],
    ["inference", "four", 3, ["four"]],
  ] as const) {
    await start(namespace, node, true);
    await expect
      .poll(async () => (await applied(`${namespace}/chat`)).refused, patience)
      .toEqual([node]);
    for (const canary of [40, 70, 0]) {
      await routes.shiftWeights({ name: "inference/chat", weights: { canary } });
      await expect
        .poll(() => applied("inference/chat"), patience)
        .toEqual({ applied: 2, wanted, refused });
    }
  }
  const { entries } = await audit.listAudit({ name: "inference/chat" });
  expect(entries.filter(({ action }) => action === "take-back")).toEqual([]);
  await expect.poll(() => traffic.requests, patience).toBeGreaterThan(50);
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
}, 240_000);

/** An Envoy that has a listener of its own for the gateway's address, which takes no connection: it refuses Weir's. */
function withItsOwnListener(text: string, port: number): string {
  const config = parse(text);
  config.static_resources.listeners = [
    {
      name: "own",
      bind_to_port: false,
      address: { socket_address: { address: "127.0.0.1", port_value: port } },
      filter_chains: [
        {
          filters: [
            {
              name: "envoy.filters.network.tcp_proxy",
              typed_config: {
                "@type":
                  "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                stat_prefix: "own",
                cluster: "weir_xds",
              },
            },
          ],
        },
      ],
    },
  ];
  return stringify(config);
}
