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
  /** Starts an Envoy as another proxy of the mesh, and returns how to stop it. */
  join(node: ProxyNode): Promise<() => Promise<void>>;
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
 * @param port of the Service
 */
export async function startMesh(
  host: string,
  namespace: string,
  pods: Record<string, number>,
  port?: number,
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
    [file("cluster.yaml", meshObjects(host, namespace, pods, gateway, port))],
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
  const binary = await findEnvoy(console.log);
  const started = (port: number, node?: ProxyNode) =>
    startEnvoy({
      binary,
      bootstrap: proxyBootstrap(address, port, node),
      admin: { host: "127.0.0.1", port },
      concurrency: 2,
    });
  const envoy = await started(admin);
  return {
    gateway: `http://127.0.0.1:${gateway}`,
    admin: `http://127.0.0.1:${admin}`,
    envoy,
    async join(node) {
      const [port = 0] = await freePorts(1);
      const { stop } = await started(port, node);
      return stop;
    },
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
  port?: number,
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
  ];
  const service = serviceObject(host, namespace, pods, port);
  return [...objects.map((object) => stringify(object)), service].join("---\n");
}

/** A Service and its pods, by their value of the label "version". */
export function serviceObject(
  host: string,
  namespace: string,
  pods: Record<string, number>,
  port = 8000,
): string {
  return stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name: host, namespace },
    spec: {
      hosts: [`${host}.${namespace}.svc.cluster.local`],
      location: "MESH_INTERNAL",
      resolution: "STATIC",
      ports: [{ number: port, name: "http", protocol: "HTTP" }],
      endpoints: Object.entries(pods).map(([version, pod]) => ({
        address: "127.0.0.1",
        ports: { http: pod },
        labels: { version },
      })),
    },
  });
}

/** How a proxy introduces itself to Istio. */
export interface ProxyNode {
  id: string;
  cluster: string;
  metadata: object;
}

const ingressGateway: ProxyNode = {
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

/**
 * A sidecar that nothing redirects traffic to: it listens on the ports of Services at 127.0.0.1. Its own
 * address is another than that of all pods, or Istio took it for one of them.
 */
export function sidecarNode(app: string, namespace: string): ProxyNode {
  return {
    id: `sidecar~127.0.0.2~${app}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${app}.${namespace}`,
    metadata: {
      NAMESPACE: namespace,
      CLUSTER_ID: "Kubernetes",
      ISTIO_VERSION: "1.31.0",
      INSTANCE_IPS: "127.0.0.2",
      INTERCEPTION_MODE: "NONE",
      LABELS: { app },
    },
  };
}

/** Weir's own bootstrap, for a node that Istio takes for its ingress gateway or another proxy. */
export function proxyBootstrap(discovery: string, admin: number, node = ingressGateway): string {
  const [host = "", port = ""] = discovery.split(":");
  const document = parse(
    bootstrap({
      node: "gateway",
      xds: { host, port: Number(port) },
      admin: { host: "127.0.0.1", port: admin },
    }),
  );
  document.node = { ...node };
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
