import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type GatewayClient, gatewayClient } from "../e2e/gateway-client.ts";
import { freePorts } from "../free-ports.ts";
import { examples } from "../istio/render-file.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { condition, get } from "./controlled.ts";
import { filtersOf, type Ingress, refusedBy, routesOf, startIngress } from "./istiod.ts";
import { eventually, type Program, startProgram } from "./processes.ts";

const main = "dist/control/main.js";
const token = "of-the-chain";
const acme = { "x-tenant-id": "acme" };
const route = readFileSync("examples/canary/route.yaml", "utf8").replace(
  "requestsPerSecond: 100, burst: 200",
  "requestsPerSecond: 50000, burst: 50000",
);

describe("etcd, the API server, weir serve, istiod and Envoy together", {
  timeout: 400_000,
}, () => {
  let cluster: Cluster;
  let ingress: Ingress;
  let weir: Program;
  let server: string;
  let directory: string;
  let pods: Record<string, Pod>;
  let client: GatewayClient;
  const weirCommand = async (...args: string[]) => {
    const all = [main, ...args, "--server", server];
    const program = startProgram(process.execPath, all, { WEIR_TOKEN: token });
    await new Promise((done) => program.process.once("exit", done));
    return { code: program.process.exitCode, said: program.said() };
  };
  const ask = (user: string) => client.get("/v1/models", { ...acme, "x-user-id": user });
  const share = async (pod: string) => {
    const users = Array.from({ length: 400 }, (_, i) => `user-${i}`);
    const answers = await Promise.all(users.map(ask));
    return answers.filter(({ headers }) => headers["x-pod"] === pod).length / users.length;
  };
  interface Status {
    filterRevision: string;
    observedRevision: string;
    proxies?: { wanted: number; applied: number };
  }
  const statusOfRoute = async () =>
    ((await get(cluster, "inferenceroute", "inference/chat")) as { status: Status }).status;
  /** Waits until the gateway runs what the route's status names. */
  const reported = () =>
    eventually(
      async () => {
        const { applied, wanted } = (await statusOfRoute()).proxies ?? {};
        return applied === 1 && wanted === 1;
      },
      "the gateway reports",
      60_000,
      200,
    );
  const shareNear = (wanted: number) =>
    eventually(
      async () => Math.abs((await share("v2")) - wanted) < 0.06,
      `the canary has about ${wanted}`,
      120_000,
      200,
    );

  beforeAll(async () => {
    cluster = await startCluster({ istio: true });
    for (const name of ["weir-system", "inference", "istio-system", "search"])
      await cluster.mustKubectl(["create", "namespace", name]);
    pods = Object.fromEntries(
      await Promise.all(
        ["v1", "v2", "v3"].map(
          async (version) => [version, await startPod(version, "127.0.0.1", 0)] as const,
        ),
      ),
    );
    const ports = Object.entries(pods).map(([version, { port }]) => [version, port]);
    ingress = await startIngress(cluster, "llm", "inference", Object.fromEntries(ports));
    const [api = 0, xds = 0] = await freePorts(2);
    server = `http://127.0.0.1:${api}`;
    directory = mkdtempSync(join(tmpdir(), "weir-chain-"));
    writeFileSync(join(directory, "token"), token);
    weir = startProgram(
      process.execPath,
      [
        ...[main, "serve", "--store", "kube:weir-system"],
        ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
        ...["--wasm-url", `file://${resolve("build/weir.wasm")}`],
        ...["--token-file", join(directory, "token"), "--report-to", `127.0.0.1:${api}`],
      ],
      { KUBECONFIG: cluster.kubeconfig() },
    );
    await eventually(async () => (await fetch(`${server}/readyz`)).ok, "weir serves").catch(
      (error: unknown) => {
        throw new Error(`${error instanceof Error ? error.message : error}\n${weir.said()}`);
      },
    );
    client = gatewayClient(ingress.gateway);
  }, 40 * 60_000);
  afterAll(async () => {
    client?.close();
    await weir?.stop();
    await ingress?.stop();
    await cluster?.stop();
    await Promise.all(Object.values(pods ?? {}).map((pod) => pod.close()));
    if (directory) rmSync(directory, { recursive: true });
  });

  test.each(examples)(
    "kubectl takes the rendered example %s, and the gateway runs it",
    async (name) => {
      const rendered = readFileSync(`examples/${name}/istio.yaml`, "utf8");
      // A proxy that once failed to load a file under a name does not try it again on its own.
      const here = rendered.replaceAll("/etc/weir/", `${resolve("build")}/`);
      const host = /^ {4}- (\S+\.example\.com)$/m.exec(rendered)?.[1];
      const isRouted = async () => `${await routesOf(ingress)}`.includes(`"${host}"`);
      await cluster.mustKubectl(["apply", "-f", "-"], here);
      await eventually(isRouted, `the gateway routes ${host}`, 60_000, 200);
      await eventually(async () => (await filtersOf(ingress)) > 0, "its filters run", 60_000, 200);
      await cluster.mustKubectl(["delete", "-f", "-"], here);
      await eventually(async () => !(await isRouted()), `${host} is gone`, 60_000, 200);
      await eventually(
        async () => (await filtersOf(ingress)) === 0,
        "its filters too",
        60_000,
        200,
      );
      expect(await refusedBy(ingress)).toEqual([]);
    },
  );

  test("a route that is applied is what requests follow", async () => {
    await cluster.mustKubectl(["apply", "-f", "-"], route);
    await condition(cluster, "inference/chat", "Applied", { status: "True" });
    await eventually(
      async () => {
        // Connections stay with the listener they came in by.
        client.close();
        client = gatewayClient(ingress.gateway);
        const { status, headers } = await ask("ada");
        return status === 200 && headers["x-seen-x-weir-variant"] !== undefined;
      },
      "the filter answers",
      60_000,
    );
    expect(await refusedBy(ingress)).toEqual([]);
    await shareNear(0.1);
  });

  test("the gateway's filters say what they run, and the route's status counts them", async () => {
    await reported();
    const { said } = await weirCommand("proxies");
    expect(said).toMatch(/^router~127\.0\.0\.1~gateway\S+ .*reports/m);
    const { filterRevision } = await statusOfRoute();
    expect(said).toContain(filterRevision);
    const status = await weirCommand("status", "chat", "-o", "json");
    expect(status.said).toContain('"variant": "stable"');
  });

  test("weir shift --wait is done when the gateway's filters report the shift", async () => {
    const { code, said } = await weirCommand("shift", "chat", "canary=33", "--wait");
    expect(said).toContain("applied on 1 of 1");
    expect(code).toBe(0);
    // Proven means that it is in force: nothing is waited for here.
    expect(Math.abs((await share("v2")) - 0.33)).toBeLessThan(0.06);
  });

  test("fifty shifts by weir shift are followed, and no request fails", async () => {
    const failures: unknown[] = [];
    let asked = 0;
    let running = true;
    const load = Array.from({ length: 4 }, async (_, i) => {
      while (running) {
        const answer = await ask(`load-${i}-${asked++ % 50}`).catch((error: unknown) => error);
        if (!(answer instanceof Object && "status" in answer && answer.status === 200))
          failures.push(answer);
      }
    });
    const follow = new Map([
      [20, 0.5],
      [49, 0.3],
    ]);
    for (let shift = 0; shift < 50; shift++) {
      const wanted = follow.get(shift) ?? ((shift * 7) % 90) / 100 + 0.01;
      const { code, said } = await weirCommand(
        "shift",
        "chat",
        `canary=${Math.round(wanted * 100)}`,
      );
      expect(said).not.toContain("error:");
      expect(code).toBe(0);
      if (follow.has(shift)) await shareNear(wanted);
    }
    running = false;
    await Promise.all(load);
    expect(asked).toBeGreaterThan(500);
    expect(failures).toEqual([]);
    const live = (await get(cluster, "inferenceroute", "inference/chat")) as {
      spec: { variants: { weight: number }[] };
    };
    expect(live.spec.variants.map(({ weight }) => weight)).toEqual([70, 30]);
    await reported();
    const { said } = await weirCommand("audit", "chat");
    expect(said.match(/\bshift\b/g)?.length).toBeGreaterThanOrEqual(49);
  });

  test("a route that is deleted leaves nothing behind", async () => {
    await cluster.mustKubectl(["delete", "inferenceroute", "chat", "-n", "inference"]);
    await eventually(async () => (await ask("ada")).status === 404, "nobody answers", 120_000);
    const kinds = "virtualservices,destinationrules,trafficextensions,envoyfilters";
    await eventually(
      async () => (await cluster.mustKubectl(["get", kinds, "-A", "-o", "name"])) === "",
      "nothing is left",
    );
  });

  test("a bad object is refused by the API server", async () => {
    const rendered = readFileSync("examples/canary/istio.yaml", "utf8");
    const bad = rendered.replace("timeout: 600s", "timeout: 0s");
    const istio = await cluster.kubectl(["apply", "-f", "-"], bad);
    expect(istio.stderr).toContain("must be a valid duration greater than 1ms");
    await cluster.kubectl(["delete", "--ignore-not-found", "-f", "-"], rendered);
    const own = await cluster.kubectl(
      ["apply", "-f", "-"],
      route.replace("weight: 90", "weight: 91"),
    );
    expect(own.stderr).toContain("weights must sum to exactly 100");
  });
});
