import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { type Envoy, findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { buildIstio } from "./istio-tools.ts";

/** Istio's own discovery with a gateway that is a plain Envoy. */
export interface Mesh {
  /** Address of the gateway. */
  gateway: string;
  /** Address of Envoy's admin interface. */
  admin: string;
  envoy: Envoy;
  /** Adds or replaces objects, as kubectl apply would. */
  apply(yaml: string): Promise<void>;
  remove(yaml: string): Promise<void>;
  stop(): Promise<void>;
}

// What only Istio's own build of Envoy has is left out.
export const istioEnv = {
  PILOT_ENABLE_METADATA_EXCHANGE: "false",
  PILOT_ENABLE_ALPN_FILTER: "false",
  TARGET_OUT: tmpdir(),
  LOCAL_OUT: tmpdir(),
};

/**
 * Starts Istio's discovery with a Gateway and the pods of a Service, and an
 * Envoy as that gateway.
 * @param pods port of each pod, by its value of the label "version"
 */
export async function startMesh(
  host: string,
  namespace: string,
  pods: Record<string, number>,
): Promise<Mesh> {
  const { discovery } = buildIstio("discovery");
  const directory = mkdtempSync(join(tmpdir(), "weir-mesh-"));
  const [gateway = 0, admin = 0] = await freePorts(2);
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const child = spawn(
    discovery as string,
    [file("cluster.yaml", meshObjects(host, namespace, pods, gateway))],
    {
      env: { ...process.env, ...istioEnv },
      stdio: ["pipe", "pipe", "pipe"],
    },
  );
  const lines = lineReader(child);
  const [, address = ""] = await lines.next(/^ready (\S+)$/);
  let count = 0;
  const obey = async (verb: string, yaml: string) => {
    child.stdin?.write(`${verb} ${file(`objects-${++count}.yaml`, yaml)}\n`);
    const [answer] = await lines.next(/^(done|error: .*)$/);
    if (answer !== "done") throw new Error(answer);
  };
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: gatewayBootstrap(address, admin),
    admin: { host: "127.0.0.1", port: admin },
    concurrency: 2,
  });
  return {
    gateway: `http://127.0.0.1:${gateway}`,
    admin: `http://127.0.0.1:${admin}`,
    envoy,
    apply: (yaml) => obey("apply", yaml),
    remove: (yaml) => obey("delete", yaml),
    async stop() {
      await envoy.stop();
      const ended = new Promise((resolve) => child.on("exit", resolve));
      child.stdin?.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(timer);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The Gateway and the Service's pods; loopback addresses stand for the pods' own. */
export function meshObjects(
  host: string,
  namespace: string,
  pods: Record<string, number>,
  gateway: number,
): string {
  const metadata = (name: string, namespace: string) => ({ name, namespace });
  const api = "networking.istio.io/v1";
  const objects = [
    {
      apiVersion: api,
      kind: "Gateway",
      metadata: metadata("public", "istio-system"),
      spec: {
        selector: { istio: "ingressgateway" },
        servers: [
          {
            port: { number: gateway, name: "http", protocol: "HTTP" },
            hosts: ["*"],
            bind: "127.0.0.1",
          },
        ],
      },
    },
    {
      apiVersion: api,
      kind: "ServiceEntry",
      metadata: metadata(host, namespace),
      spec: {
        hosts: [`${host}.${namespace}.svc.cluster.local`],
        location: "MESH_INTERNAL",
        resolution: "STATIC",
        ports: [{ number: 8000, name: "http", protocol: "HTTP" }],
        endpoints: Object.entries(pods).map(([version, port]) => ({
          address: "127.0.0.1",
          ports: { http: port },
          labels: { version },
        })),
      },
    },
  ];
  return objects.map((object) => stringify(object)).join("---\n");
}

/** Weir's own bootstrap, for a node that Istio takes for its ingress gateway. */
export function gatewayBootstrap(discovery: string, admin: number): string {
  const [host = "", port = ""] = discovery.split(":");
  const document = parse(
    bootstrap({
      node: "gateway",
      xds: { host, port: Number(port) },
      admin: { host: "127.0.0.1", port: admin },
    }),
  );
  document.node = {
    id: "router~127.0.0.1~gateway.istio-system~istio-system.svc.cluster.local",
    cluster: "istio-ingressgateway.istio-system",
    metadata: {
      NAMESPACE: "istio-system",
      CLUSTER_ID: "Kubernetes",
      ISTIO_VERSION: "1.31.0",
      INSTANCE_IPS: "127.0.0.1",
      LABELS: { istio: "ingressgateway" },
    },
  };
  return stringify(document);
}

/** Waits for lines among a program's many. */
function lineReader(child: ChildProcess) {
  let text = "";
  let words = "";
  let ended = false;
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    words = (words + chunk).slice(-4000);
  });
  child.on("exit", () => {
    ended = true;
  });
  return {
    async next(pattern: RegExp): Promise<RegExpExecArray> {
      const deadline = Date.now() + 60_000;
      for (;;) {
        for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
          const match = pattern.exec(text.slice(0, end));
          text = text.slice(end + 1);
          if (match) return match;
        }
        if (ended || Date.now() > deadline) throw new Error(`no line ${pattern} came: ${words}`);
        await sleep(20);
      }
    },
  };
}
