import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { performance } from "node:perf_hooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeClient, KubeObject } from "../../control/kube/index.ts";
import { freePorts } from "../free-ports.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { eventually, type Program, startProgram } from "./processes.ts";

const count = 1_000;
/** Routes whose proxies are the same: their filters are told by one object. */
const perGateway = 20;
/** Of the routes, one in so many is changed or robbed of an object while the service is away. */
const oneIn = 10;
const maxRestartMs = 30_000;
/** What the Deployment allows the pod. */
const maxBytes = 512 << 20;

const routes = "/apis/weir.dev/v1alpha1/inferenceroutes";
const services = "/apis/networking.istio.io/v1/virtualservices";
const options = { fieldManager: "test" };
interface Status {
  observedGeneration?: number;
  conditions?: { type: string; status: string }[];
}

function route(index: number): object {
  return {
    apiVersion: "weir.dev/v1alpha1",
    kind: "InferenceRoute",
    metadata: { name: `r${index}`, namespace: "inference" },
    spec: {
      hosts: [`r${index}.example.com`],
      gateways: ["istio-system/public"],
      attach: {
        selector: { gateway: `g${Math.floor(index / perGateway)}` },
        namespace: "istio-system",
      },
      service: { name: `llm-${index}`, port: 8000 },
      variants: [
        { name: "stable", weight: 90, labels: { version: "v1" } },
        { name: "canary", weight: 10, labels: { version: "v2" } },
      ],
      canary: { stickyBy: [{ header: "x-user-id" }] },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { gold: { requestsPerSecond: 100, burst: 200 }, bronze: { requestsPerSecond: 5 } },
        tenants: { acme: "gold" },
        default: "bronze",
      },
    },
  };
}

async function sideBySide(indexes: number[], work: (index: number) => Promise<unknown>) {
  const left = [...indexes];
  const worker = async () => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await work(next);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

describe("a thousand routes in the API server", { timeout: 900_000 }, () => {
  let cluster: Cluster;
  let client: KubeClient;
  let weir: Program | undefined;
  const all = Array.from({ length: count }, (_, index) => index);
  const touched = all.filter((index) => index % oneIn === 0);
  const list = async (path: string) => {
    const objects: KubeObject[] = [];
    await client.list(path, "", (items) => objects.push(...items));
    return objects;
  };
  const isApplied = ({ metadata, status }: KubeObject) => {
    const { observedGeneration, conditions = [] } = (status ?? {}) as Status;
    const applied = conditions.find(({ type }) => type === "Applied")?.status;
    return observedGeneration === metadata.generation && applied === "True";
  };
  const weightsOf = ({ spec }: KubeObject) => {
    const http = (spec as { http: { route: { weight?: number }[] }[] }).http;
    return http.at(-1)?.route.map(({ weight }) => weight);
  };
  const allApplied = async () => {
    const found = await eventually(
      async () => (await list(services)).length === count && (await list(routes)).every(isApplied),
      "all routes are applied",
      400_000,
      // Reading them all is work for the machine that is measured.
      1_000,
    );
    if (found !== true) throw new Error(`${found}: ${weir?.said()}`);
  };
  const start = async () => {
    const [api = 0, xds = 0] = await freePorts(2);
    weir = startProgram(
      process.execPath,
      [
        ...["dist/control/main.js", "serve", "--store", "kube:weir-system"],
        ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
      ],
      { KUBECONFIG: cluster.kubeconfig() },
    );
  };
  /** The most memory the service ever had, as Linux tells it. */
  const peakBytes = () => {
    const text = readFileSync(`/proc/${weir?.process.pid}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
  };

  beforeAll(async () => {
    cluster = await startCluster({ istio: true });
    for (const name of ["weir-system", "inference", "istio-system"])
      await cluster.mustKubectl(["create", "namespace", name]);
    client = cluster.client();
    const path = "/apis/weir.dev/v1alpha1/namespaces/inference/inferenceroutes";
    await sideBySide(all, (index) => client.create(path, route(index), options));
    await start();
    await allApplied();
  }, 40 * 60_000);
  afterAll(async () => {
    await weir?.stop();
    client?.close();
    await cluster?.stop();
  });

  test("are as they should be within 30 s of a restart, in bounded memory", async () => {
    await weir?.stop();
    await sideBySide(touched, async (index) => {
      const path = `/apis/weir.dev/v1alpha1/namespaces/inference/inferenceroutes/r${index}`;
      const live = await client.get(path);
      const spec = structuredClone(live?.spec) as { variants: { weight: number }[] };
      for (const [at, variant] of spec.variants.entries()) variant.weight = [60, 40][at] ?? 0;
      await client.merge(path, { spec }, options);
      const robbed = `/apis/networking.istio.io/v1/namespaces/inference/virtualservices/weir-r${index + 1}`;
      await client.delete(robbed);
    });
    const began = performance.now();
    await start();
    await allApplied();
    const tookMs = performance.now() - began;
    const peak = peakBytes();
    // On a machine that is not this test's alone, the others have their share of the time.
    const shares = Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
    console.log(
      `${count} routes after a restart: ${(tookMs / 1000).toFixed(1)} s (load per core ${shares.toFixed(1)}), at most ${peak >> 20} MiB`,
    );
    const live = new Map((await list(services)).map((each) => [each.metadata.name, each]));
    for (const index of all)
      expect(weightsOf(live.get(`weir-r${index}`) as KubeObject)).toEqual(
        index % oneIn === 0 ? [60, 40] : [90, 10],
      );
    expect(tookMs).toBeLessThan(maxRestartMs * shares);
    expect(peak).toBeLessThan(maxBytes);
  });
});
