import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { bootstrap, type Snapshot } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { startXds, type TestServer } from "../xds/fake-envoy.ts";
import { snapshotWith } from "../xds/snapshots.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { weir } from "./weir-up.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });
const acme = { "x-tenant-id": "acme" };
const example = readFileSync("examples/canary/route.yaml", "utf8");

/** The example with these endpoints and no limit that a test reaches. */
function exampleWith(ports: readonly number[]): string {
  return example
    .replace("127.0.0.1:9001", `127.0.0.1:${ports[0]}`)
    .replace("127.0.0.1:9002", `127.0.0.1:${ports[1]}`)
    .replace("requestsPerSecond: 100, burst: 200", "requestsPerSecond: 50000, burst: 50000");
}

async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await sleep(50);
  }
}

let pods: Pod[];
beforeAll(async () => {
  pods = [await startPod("stable", "127.0.0.1", 0), await startPod("canary", "127.0.0.1", 0)];
});
afterAll(async () => {
  for (const pod of pods) await pod.close();
});

describe.each([
  ["state of the world", false],
  ["delta", true],
])("a real Envoy over %s", (_name, delta) => {
  let server: TestServer;
  let envoy: Envoy;
  let client: GatewayClient;
  let snapshot: (weights?: [number, number], filterConfig?: string) => Snapshot;

  beforeAll(async () => {
    const [gateway = 0, admin = 0] = await freePorts(2);
    const [route] = parseRoutes(exampleWith(pods.map(({ port }) => port))).routes;
    if (!route) throw new Error("the example is not right");
    snapshot = (weights = [90, 10], filterConfig) =>
      snapshotWith(route, weights, gateway, readFileSync("build/weir.wasm"), filterConfig);
    server = await startXds();
    server.xds.publish(snapshot());
    envoy = await startEnvoy({
      binary: await findEnvoy(console.log),
      bootstrap: bootstrap({
        node: "envoy-1",
        xds: local(server.port),
        admin: local(admin),
        delta,
      }),
      admin: local(admin),
      concurrency: 2,
    });
    client = gatewayClient(`http://127.0.0.1:${gateway}`);
    await until(() => server.fleet.list()[0]?.inSync === true, "everything acknowledged");
    await until(
      async () => (await client.get("/v1/models", acme).catch(() => undefined))?.status === 200,
      "the first answer",
    );
  });
  afterAll(async () => {
    client.close();
    await envoy.stop();
    await server.close();
  });
  const resource = (type: string) =>
    server.fleet.list()[0]?.resources.find((each) => each.type === type);
  const takesRoutes = async (next: Snapshot) => {
    server.xds.publish(next);
    await until(() => resource("RDS")?.ackedVersion === next.RDS.version, "the routes");
  };
  const ok = async () => (await client.get("/v1/models", acme)).status === 200;

  it("acknowledges everything", () => {
    const [proxy] = server.fleet.list();
    expect(proxy?.version).toBe("1.40.0");
    expect(proxy?.resources.map(({ type }) => type)).toEqual(["CDS", "EDS", "LDS", "RDS", "ECDS"]);
  });

  it("refuses a bad configuration of the filter, in its own words, and goes on with the old one", async () => {
    const before = resource("ECDS")?.ackedVersion;
    const bad = '{"revision":"bad","routes":[{"name":"x","hosts":[]}]}';
    server.xds.publish(snapshot([90, 10], bad));
    await until(() => resource("ECDS")?.nackMessage !== "", "the refusal");
    expect(resource("ECDS")?.nackMessage).toMatch(
      /Unable to create Wasm (HTTP filter|plugin) weir/,
    );
    expect(resource("ECDS")?.ackedVersion).toBe(before);
    expect(server.nacks).toHaveLength(1);
    expect(await ok()).toBe(true);
    expect(envoy.log()).toContain("weir all: configuration refused: routes[0] has no hosts");
    // No push loop: what is sent next is taken, and it is answered after all that came before.
    await takesRoutes(snapshot([70, 30], bad));
    expect(server.nacks).toHaveLength(1);
    server.xds.publish(snapshot());
    await until(
      () => resource("ECDS")?.nackMessage === "",
      "the old configuration acknowledged again",
    );
    expect(server.fleet.list()[0]?.inSync).toBe(true);
  });

  it("does not count a refused configuration as applied when Envoy acknowledges it the second time", async () => {
    const bad = '{"revision":"worse","routes":[{"name":"x","hosts":[]}]}';
    server.xds.publish(snapshot([90, 10], bad));
    await until(() => resource("ECDS")?.nackMessage !== "", "the refusal");
    await takesRoutes(snapshot([80, 20], bad));
    expect(server.fleet.list()[0]?.inSync).toBe(false);
    server.xds.publish(snapshot());
    await until(() => server.fleet.list()[0]?.inSync === true, "the good configuration");
    expect(await ok()).toBe(true);
  });

  it("takes a hundred changes of weight without a failed request", async () => {
    let running = true;
    const failures: unknown[] = [];
    const load = Array.from({ length: 4 }, async () => {
      while (running)
        await client.get("/v1/models", acme).then(
          ({ status }) => status === 200 || failures.push(status),
          (error) => failures.push(error),
        );
    });
    for (let i = 1; i <= 100; i++) {
      server.xds.publish(snapshot([100 - (i % 50), i % 50]));
      await until(() => server.fleet.list()[0]?.inSync === true, `change ${i}`);
    }
    running = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
  });
});

describe("a control service that is killed", () => {
  let store: string;
  let control: ChildProcess;
  let envoy: Envoy;
  let client: GatewayClient;
  let flags: string[];
  let serverFlag: string[];

  async function serve(): Promise<void> {
    control = spawn(process.execPath, ["dist/control/main.js", "serve", ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    await new Promise((resolve) => control.stderr?.once("data", resolve));
  }
  beforeAll(async () => {
    store = mkdtempSync(join(tmpdir(), "weir-killed-"));
    const [listen = 0, xds = 0, gateway = 0, admin = 0] = await freePorts(4);
    flags = [
      "--listen",
      `127.0.0.1:${listen}`,
      "--xds",
      `127.0.0.1:${xds}`,
      "--gateway",
      `127.0.0.1:${gateway}`,
      "--store",
      `lmdb:${store}/data`,
    ];
    serverFlag = ["--server", `127.0.0.1:${listen}`];
    await serve();
    writeFileSync(join(store, "route.yaml"), exampleWith(pods.map(({ port }) => port)));
    expect(
      (await weir(["apply", "-f", join(store, "route.yaml"), ...serverFlag])).stdout,
    ).toContain("inference/chat created");
    const { stdout } = await weir([
      "bootstrap",
      "--node",
      "envoy-1",
      "--xds",
      `127.0.0.1:${xds}`,
      "--admin",
      `127.0.0.1:${admin}`,
    ]);
    envoy = await startEnvoy({
      binary: await findEnvoy(console.log),
      bootstrap: stdout,
      admin: local(admin),
      concurrency: 2,
    });
    client = gatewayClient(`http://127.0.0.1:${gateway}`);
    await until(
      async () => (await client.get("/v1/models", acme).catch(() => undefined))?.status === 200,
      "the first answer",
    );
  });
  afterAll(async () => {
    client.close();
    await envoy.stop();
    const ended = new Promise((resolve) => control.on("exit", resolve));
    control.kill("SIGTERM");
    await ended;
    rmSync(store, { recursive: true, force: true });
  });

  it("X15: fails no request, and comes back with its routes, etags and proxies", async () => {
    expect((await weir(["shift", "chat", "canary=25", "--wait", ...serverFlag])).code).toBe(0);
    const before = (await weir(["get", ...serverFlag])).stdout;
    const died = new Promise((resolve) => control.on("exit", resolve));
    control.kill("SIGKILL");
    await died;
    for (let i = 0; i < 200; i++) expect((await client.get("/v1/models", acme)).status).toBe(200);
    await serve();
    await until(
      async () =>
        (await weir(["status", "chat", ...serverFlag])).stdout.includes("applied on 1 of 1"),
      "the proxy back",
    );
    expect((await weir(["get", ...serverFlag])).stdout).toBe(before);
    expect((await weir(["shift", "chat", "canary=30", "--wait", ...serverFlag])).stdout).toContain(
      "applied on 1 of 1",
    );
  });

  it("tells two clients with one etag apart, and the later one the current etag", async () => {
    const { stdout } = await weir(["get", ...serverFlag]);
    const etag = /(\d+)\s*$/.exec(stdout)?.[1] ?? "";
    const results = await Promise.all(
      ["canary=40", "canary=50"].map((weight) =>
        weir(["shift", "chat", weight, "--etag", etag, ...serverFlag]),
      ),
    );
    expect(results.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(results.find(({ code }) => code === 1)?.stderr).toContain(
      `etag "${etag}" of inference/chat is stale: the current one is "${Number(etag) + 1}"`,
    );
  });
});
