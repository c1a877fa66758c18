import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { freePorts } from "../free-ports.ts";
import { buildIstio } from "../istio/istio-tools.ts";
import { istioEnv, meshObjects, proxyBootstrap } from "../istio/mesh.ts";
import type { Cluster } from "./cluster.ts";
import { eventually, startProgram } from "./processes.ts";

/** Istio's control plane on a cluster, and an Envoy that it takes for its ingress gateway. */
export interface Ingress {
  /** Address of the gateway. */
  gateway: string;
  /** Address of Envoy's admin interface. */
  admin: string;
  envoy: Envoy;
  stop(): Promise<void>;
}

// A stock Envoy lacks what Istio would put in by itself.
const meshConfig = { enableAutoMtls: false, defaultProviders: {}, protocolDetectionTimeout: "0s" };

/**
 * Starts istiod and a gateway, and the pods of a Service.
 * @param pods port of each pod, by its value of the label "version"
 */
export async function startIngress(
  cluster: Cluster,
  host: string,
  namespace: string,
  pods: Record<string, number>,
): Promise<Ingress> {
  const tools = buildIstio("pilot-discovery");
  const directory = mkdtempSync(join(tmpdir(), "weir-istiod-"));
  const [gateway = 0, admin = 0, grpc = 0, http = 0, monitoring = 0] = await freePorts(5);
  const mesh = join(directory, "mesh.yaml");
  writeFileSync(mesh, JSON.stringify(meshConfig));
  const istiod = startProgram(
    tools["pilot-discovery"] ?? "",
    [
      ...["discovery", "--kubeconfig", cluster.kubeconfig(), "--meshConfig", mesh],
      ...["--grpcAddr", `127.0.0.1:${grpc}`, "--httpAddr", `127.0.0.1:${http}`],
      ...["--httpsAddr", "", "--secureGRPCAddr", "", "--ctrlz_port", "0"],
      ...["--monitoringAddr", `127.0.0.1:${monitoring}`],
    ],
    {
      ...istioEnv,
      ENABLE_CA_SERVER: "false",
      POD_NAMESPACE: "istio-system",
      CLUSTER_ID: "Kubernetes",
      INJECTION_WEBHOOK_CONFIG_NAME: "",
      VALIDATION_WEBHOOK_CONFIG_NAME: "",
    },
  );
  await cluster.mustKubectl(["apply", "-f", "-"], meshObjects(host, namespace, pods, gateway));
  await eventually(
    async () => {
      if (istiod.process.exitCode !== null) throw new Error(istiod.said());
      return (await fetch(`http://127.0.0.1:${http}/ready`)).ok;
    },
    "istiod is ready",
    120_000,
    200,
  ).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}\n${istiod.said()}`);
  });
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: proxyBootstrap(`127.0.0.1:${grpc}`, admin),
    admin: { host: "127.0.0.1", port: admin },
    concurrency: 2,
  });
  return {
    gateway: `http://127.0.0.1:${gateway}`,
    admin: `http://127.0.0.1:${admin}`,
    envoy,
    async stop() {
      await envoy.stop();
      await istiod.stop("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const ask = async ({ admin }: Ingress, path: string) => (await fetch(`${admin}/${path}`)).text();

/** The routes that the gateway has now, as it prints them. */
export function routesOf(ingress: Ingress): Promise<string> {
  return ask(ingress, "config_dump?resource=dynamic_route_configs");
}

/** How many Wasm filters stand in the chains of the gateway's listeners. */
export async function filtersOf(ingress: Ingress): Promise<number> {
  interface Dump {
    configs?: { active_state?: unknown }[];
  }
  const dump = (await ask(ingress, "config_dump?resource=dynamic_listeners")) || "{}";
  const listeners = (JSON.parse(dump) as Dump).configs ?? [];
  const chains = JSON.stringify(listeners.map(({ active_state }) => active_state));
  return chains.split('"config_discovery"').length - 1;
}

/** Counters of what the gateway would not take of istiod's word; none when all is well. */
export async function refusedBy(ingress: Ingress): Promise<string[]> {
  const counters = await ask(ingress, "stats?filter=(update_rejected|config_fail)$");
  return counters.split("\n").filter((line) => line !== "" && !line.endsWith(": 0"));
}
