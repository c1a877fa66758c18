import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { AuditService, RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { startPod } from "../../control/pods/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { seeded } from "../faults/random.ts";
import { freePorts, startEtcd } from "../store/etcd-cluster.ts";
import { gatewayClient } from "./gateway-client.ts";

/** `npm run test:long` asks for an hour. */
const seconds = Number(process.env.WEIR_REPLICAS_SECONDS ?? 25);
const local = (port: number) => ({ host: "127.0.0.1", port });

/** A replica of the control service in a process of its own. */
function createReplica(
  ports: { api: number; xds: number; gateway: number },
  store: string,
  peers: readonly number[],
) {
  let child: ChildProcess | undefined;
  let said = "";
  const transport = createConnectTransport({
    baseUrl: `http://127.0.0.1:${ports.api}`,
    httpVersion: "1.1",
    defaultTimeoutMs: 10_000,
  });
  return {
    routes: createClient(RouteService, transport),
    audit: createClient(AuditService, transport),
    async start() {
      child = spawn(
        process.execPath,
        [
          ...["dist/control/main.js", "serve", "--store", store],
          ...["--listen", `127.0.0.1:${ports.api}`, "--xds", `127.0.0.1:${ports.xds}`],
          ...["--gateway", `127.0.0.1:${ports.gateway}`],
          ...peers.flatMap((api) => ["--peer", `127.0.0.1:${api}`]),
        ],
        { stdio: ["ignore", "ignore", "pipe"] },
      );
      child.stderr?.on("data", (chunk: Buffer) => {
        said = (said + chunk).slice(-2_000);
      });
      await expect
        .poll(
          () =>
            fetch(`http://127.0.0.1:${ports.api}/healthz`).then(
              ({ ok }) => ok,
              () => false,
            ),
          {
            timeout: 30_000,
          },
        )
        .toBe(true);
    },
    /** What it wrote last, for a test that failed. */
    said: () => said,
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child?.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    },
  };
}

it(`three replicas on etcd and a real Envoy go through ${seconds} s of kills, pauses and shifts: no request fails, no shift is lost or doubled`, {
  timeout: seconds * 1_000 + 240_000,
}, async () => {
  const etcd = await startEtcd({ members: 3 });
  onTestFinished(() => etcd.close());
  const ports = await freePorts(8);
  const port = (i: number) => ports[i] ?? 0;
  const [gatewayPort, adminPort] = [port(6), port(7)];
  const replicas = [0, 1, 2].map((i) =>
    createReplica(
      { api: port(i * 2), xds: port(i * 2 + 1), gateway: gatewayPort },
      etcd.address("weir"),
      [port(0), port(2), port(4)],
    ),
  );
  onTestFinished(async () => {
    for (const replica of replicas) await replica.kill();
  });
  await Promise.all(replicas.map((replica) => replica.start()));

  const [route] = parseRoutes(readFileSync("examples/canary/route.yaml", "utf8")).routes as [
    InferenceRoute,
  ];
  for (const tier of Object.values(route.spec?.rateLimit?.tiers ?? {}))
    Object.assign(tier, { requestsPerSecond: 100_000, burst: 100_000 });
  for (const variant of route.spec?.variants ?? []) {
    const pod = await startPod(variant.name, "127.0.0.1", 0);
    onTestFinished(() => pod.close());
    variant.endpoints = [`127.0.0.1:${pod.port}`];
  }
  await replicas[0]?.routes.applyRoute({ route });
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({
      node: "edge-1",
      xds: [1, 3, 5].map((i) => local(port(i))),
      admin: local(adminPort),
    }),
    admin: local(adminPort),
    concurrency: 1,
  });
  onTestFinished(() => envoy.stop());
  const gateway = gatewayClient(`http://127.0.0.1:${gatewayPort}`);
  onTestFinished(() => gateway.close());
  const ask = (user: string) =>
    gateway.get("/v1/models", { "x-user-id": user, "x-tenant-id": "acme" });
  await expect
    .poll(
      () =>
        ask("first").then(
          ({ status }) => status,
          () => 0,
        ),
      { timeout: 30_000 },
    )
    .toBe(200);

  let over = false;
  let requests = 0;
  const failures: string[] = [];
  const traffic = (async () => {
    while (!over) {
      await ask(`user-${requests++}`).then(
        ({ status }) => status !== 200 && failures.push(`status ${status}`),
        (error: Error) => failures.push(error.message),
      );
      await sleep(10);
    }
  })();

  const random = seeded(3);
  const acknowledged: string[] = [];
  let asked = 0;
  let kills = 0;
  let pauses = 0;
  const deadline = Date.now() + seconds * 1_000;
  while (Date.now() < deadline) {
    const victim = Math.floor(random() * 3);
    const disturb = (async () => {
      if (random() < 0.5) {
        kills++;
        await replicas[victim]?.kill();
        await sleep(random() * 1_000);
        await replicas[victim]?.start();
      } else {
        pauses++;
        etcd.pause(victim);
        await sleep(1_000 + random() * 2_000);
        etcd.resume(victim);
      }
    })();
    for (let i = 0; i < 4; i++) {
      const reason = `shift ${asked++}`;
      const canary = 1 + (asked % 98);
      // Sent once: an error may mean either, so only what was acknowledged is counted on.
      await replicas[Math.floor(random() * 3)]?.routes
        .shiftWeights({ name: "chat", weights: { canary }, reason })
        .then(
          () => acknowledged.push(reason),
          () => {},
        );
      await sleep(random() * 300);
    }
    await disturb;
  }
  over = true;
  await traffic;

  const { entries } = (await replicas[0]?.audit.listAudit({
    name: "inference/chat",
    limit: 10_000,
  })) ?? { entries: [] };
  const written = entries
    .map(({ reason }) => reason)
    .filter((reason) => reason.startsWith("shift"));
  const lost = acknowledged.filter((reason) => !written.includes(reason));
  console.log(
    `${seconds} s: ${requests} requests, ${failures.length} failed; ${asked} shifts asked for, ${acknowledged.length} acknowledged, ${lost.length} lost, ${written.length - new Set(written).size} doubled; ${kills} kills, ${pauses} pauses`,
  );
  expect(failures).toEqual([]);
  expect(lost).toEqual([]);
  expect(new Set(written).size).toBe(written.length);
  expect(acknowledged.length).toBeGreaterThan(asked / 4);
  // All replicas and the proxy end with the same weights, and every replica knows the proxy.
  const states = await Promise.all(replicas.map((each) => each.routes.getRoute({ name: "chat" })));
  expect(new Set(states.map(({ state }) => state?.etag)).size).toBe(1);
  await expect
    .poll(
      async () => {
        const all = await Promise.all(
          replicas.map((each) => each.routes.getRoute({ name: "chat" })),
        );
        return all.every(({ applied }) => applied?.wanted === 1 && applied.applied === 1);
      },
      { timeout: 30_000 },
    )
    .toBe(true);
});
