import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJson } from "@bufbuild/protobuf";
import { afterEach, expect, it, onTestFinished } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { openDocument, type RegisteringPod, startRegistering } from "./registering.ts";
import { createReplica, type Replica } from "./replica.ts";

const soon = { timeout: 40_000, interval: 50 };
const local = (port: number) => ({ host: "127.0.0.1", port });
const at = (port: number) => `127.0.0.1:${port}`;
const route = fromJson(InferenceRouteSchema, openDocument());

let pods: RegisteringPod[] = [];
afterEach(() => {
  for (const pod of pods) pod.kill();
  pods = [];
});

async function start(server: string, name: string, lease?: string): Promise<RegisteringPod> {
  const pod = await startRegistering(server, name, [], lease);
  pods.push(pod);
  return pod;
}

function service(api: number, xds: number, gateway: number, flags: string[]): Replica {
  const replica = createReplica({
    command: [],
    api: at(api),
    xds: at(xds),
    flags: ["--gateway", at(gateway), "--endpoint-range", "127.0.0.0/8", ...flags],
    token: "",
  });
  onTestFinished(replica.kill);
  return replica;
}

/** A real Envoy below a service. */
async function startProxy(xds: number, gateway: number, delta: boolean): Promise<GatewayClient> {
  const [admin = 0] = await freePorts(1);
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({ node: "gateway-1", xds: local(xds), admin: local(admin), delta }),
    admin: local(admin),
    concurrency: 1,
  });
  const client = gatewayClient(`http://${at(gateway)}`);
  onTestFinished(async () => {
    client.close();
    await envoy.stop();
  });
  return client;
}

/** Who answers; undefined while nobody does. */
async function asked(client: GatewayClient): Promise<string | undefined> {
  const { headers, status } = await client.get("/v1/models");
  return status === 200 ? String(headers["x-pod"]) : undefined;
}

async function askers(client: GatewayClient): Promise<string[]> {
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) names.add((await asked(client).catch(() => undefined)) ?? "nobody");
  return [...names].sort();
}

/** Asks without a pause until it is told to stop. @returns what went wrong, once it has stopped */
function traffic(client: GatewayClient): { stop(): Promise<unknown[]> } {
  const failures: unknown[] = [];
  let isOver = false;
  const running = (async () => {
    while (!isOver)
      await asked(client).then(
        (name) => name ?? failures.push("no answer"),
        (error) => failures.push(error),
      );
  })();
  return {
    async stop() {
      isOver = true;
      await running;
      return failures;
    },
  };
}

it.each([
  ["state of the world", false],
  ["delta", true],
])(
  "a service that is killed and starts again takes no pod from proxies over %s",
  async (_name, delta) => {
    const folder = mkdtempSync(join(tmpdir(), "weir-registered-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const [api = 0, xds = 0, gateway = 0] = await freePorts(3);
    const control = service(api, xds, gateway, ["--store", `lmdb:${folder}`]);
    await control.start();
    await control.routes.applyRoute({ route });
    const client = await startProxy(xds, gateway, delta);
    // Leases so long that the proxy is connected again well before the first pod renews its own.
    await start(at(api), "one", "20s");
    await start(at(api), "two", "20s");
    await expect.poll(() => askers(client), soon).toEqual(["one", "two"]);
    const asking = traffic(client);
    await control.kill();
    await control.start();
    // It knows nobody at first, and the proxies keep whom they have.
    await start(at(api), "three", "20s");
    await expect.poll(() => askers(client), soon).toEqual(["one", "three", "two"]);
    expect(await asking.stop()).toEqual([]);
    const { endpoints } = await control.endpoints.listEndpoints({ name: "chat" });
    expect(endpoints.map(({ state }) => state)).toEqual(["ready", "ready", "ready"]);
  },
);

it("pods of one replica are sent to the proxies of another one, and outlive it", async () => {
  const [api = 0, xds = 0, otherApi = 0, otherXds = 0, gateway = 0] = await freePorts(5);
  const flags = (peer: number) => ["--store", "memory", "--peer", at(peer)];
  const first = service(api, xds, gateway, flags(otherApi));
  const second = service(otherApi, otherXds, gateway, flags(api));
  for (const replica of [first, second]) {
    await replica.start();
    await replica.routes.applyRoute({ route });
  }
  const client = await startProxy(otherXds, gateway, true);
  const one = await start(at(api), "one");
  const two = await start(at(api), "two");
  await expect.poll(() => askers(client), soon).toEqual(["one", "two"]);

  const asking = traffic(client);
  await first.kill();
  const leases = async () =>
    (await second.endpoints.listEndpoints({ name: "chat" })).endpoints.map(({ expiresIn }) =>
      Number(expiresIn?.seconds),
    );
  // The pods cannot renew their leases of three seconds; they get a minute.
  await expect.poll(leases, soon).toEqual([expect.any(Number), expect.any(Number)]);
  await expect.poll(async () => Math.min(...(await leases())), soon).toBeGreaterThan(20);
  await expect
    .poll(() => one.said() + two.said(), soon)
    .toMatch(/trying again.*\n(.*\n)*.*trying again/);
  await first.start();
  await first.routes.applyRoute({ route });
  await expect.poll(async () => Math.max(...(await leases())), soon).toBeLessThan(4);
  expect(await asking.stop()).toEqual([]);

  two.kill();
  await expect.poll(leases, soon).toHaveLength(1);
  await expect.poll(() => askers(client), soon).toEqual(["one"]);
});
