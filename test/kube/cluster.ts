import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createKubeClient, type KubeClient, loadClusterConfig } from "../../control/kube/index.ts";
import { freePorts } from "../free-ports.ts";
import { buildIstio, type Verdict } from "../istio/istio-tools.ts";
import { eventually, type Program, startProgram } from "./processes.ts";

/** A Kubernetes API server with etcd behind it: all of a cluster but machines to run pods. */
export interface Cluster {
  /** kubeconfig file of a user: "admin", or a service account "namespace/name". */
  kubeconfig(user?: string): string;
  client(user?: string): KubeClient;
  kubectl(args: string[], input?: string, user?: string): Promise<Verdict>;
  /** kubectl that must succeed. @returns what it printed */
  mustKubectl(args: string[], input?: string): Promise<string>;
  /** The API server goes away at once, as on a crash. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  stop(): Promise<void>;
}

/** Service accounts that have a token here, as "namespace/name". */
const accounts = ["weir-system/weir"];

/** Starts etcd and the API server and installs Weir's own resources, and Istio's where asked. */
export async function startCluster({ istio = false, own = true } = {}): Promise<Cluster> {
  const tools = buildIstio("kube-apiserver", "kubectl");
  // In memory where there is such a place: etcd waits for the disk on each write.
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const directory = mkdtempSync(join(base, "weir-cluster-"));
  const [clientPort = 0, peerPort = 0, apiPort = 0] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  const etcd = startProgram("etcd", [
    ...["--data-dir", join(directory, "etcd")],
    ...["--listen-client-urls", etcdUrl, "--advertise-client-urls", etcdUrl],
    ...["--listen-peer-urls", `http://127.0.0.1:${peerPort}`],
    ...["--initial-advertise-peer-urls", `http://127.0.0.1:${peerPort}`],
    ...["--initial-cluster", `default=http://127.0.0.1:${peerPort}`, "--log-level", "error"],
  ]);
  writeKeys(directory);

  let server: Program | undefined;
  const kubeconfigs = new Map<string, string>();
  const kubeconfig = (user = "admin"): string => {
    let file = kubeconfigs.get(user);
    if (file === undefined) {
      file = join(directory, `kubeconfig-${user.replace("/", "-")}`);
      writeFileSync(file, kubeconfigText(apiPort, join(directory, "apiserver.crt"), tokenOf(user)));
      kubeconfigs.set(user, file);
    }
    return file;
  };
  const client = (user?: string) => createKubeClient(loadClusterConfig(kubeconfig(user)));
  // Never in the way of what runs in this process: a delete waits for the controller.
  const kubectl = async (args: string[], input?: string, user?: string): Promise<Verdict> => {
    const child = spawn(tools.kubectl ?? "", args, {
      env: { ...process.env, KUBECONFIG: kubeconfig(user), HOME: directory },
    });
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "exit") as Promise<[number | null]>,
    ]);
    return { code, stdout, stderr };
  };
  const mustKubectl = async (args: string[], input?: string): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
    return stdout;
  };

  async function startServer(): Promise<void> {
    server = startProgram(tools["kube-apiserver"] ?? "", [
      `--etcd-servers=${etcdUrl}`,
      `--secure-port=${apiPort}`,
      "--bind-address=127.0.0.1",
      `--cert-dir=${directory}`,
      `--service-account-key-file=${join(directory, "sa.pub")}`,
      `--service-account-signing-key-file=${join(directory, "sa.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--token-auth-file=${join(directory, "tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-cluster-ip-range=10.96.0.0/16",
      // Pods of this cluster are processes beside it: nobody makes their tokens.
      "--disable-admission-plugins=ServiceAccount",
    ]);
    const program = server;
    await eventually(
      async () => {
        if (program.process.exitCode !== null) throw new Error(program.said());
        return isReady(apiPort);
      },
      "the API server is ready",
      120_000,
    ).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}\n${program.said()}`);
    });
  }

  async function stop(): Promise<void> {
    // It takes a minute over a polite stop.
    await server?.stop("SIGKILL");
    await etcd.stop("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  }

  try {
    await startServer();
    const files = own ? ["-f", "istio/chart/crds/crds.yaml"] : [];
    if (istio) files.push("-f", istioCrds());
    await mustKubectl(["apply", "--server-side", ...files]);
    await mustKubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubeconfig,
    client,
    kubectl,
    mustKubectl,
    stopServer: async () => server?.stop("SIGKILL"),
    startServer,
    stop,
  };
}

/** Istio's own resource definitions, from its module. */
export function istioCrds(): string {
  const args = ["list", "-m", "-f", "{{.Dir}}", "istio.io/istio"];
  const module = execFileSync("go", args, { cwd: "test/istio/go", encoding: "utf8" }).trim();
  return join(module, "manifests/charts/base/files/crd-all.gen.yaml");
}

function isReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: "127.0.0.1", port, path: "/readyz", rejectUnauthorized: false };
    get(options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on("error", () => resolve(false));
  });
}

function tokenOf(user: string): string {
  return `token-of-${user.replace("/", "-")}`;
}

function writeKeys(directory: string): void {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(join(directory, "sa.pub"), publicKey.export({ type: "spki", format: "pem" }));
  writeFileSync(join(directory, "sa.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
  const lines = [`${tokenOf("admin")},admin,admin,"system:masters"`];
  for (const account of accounts) {
    const [namespace, name] = account.split("/");
    const groups = `system:serviceaccounts,system:serviceaccounts:${namespace},system:authenticated`;
    lines.push(
      `${tokenOf(account)},system:serviceaccount:${namespace}:${name},${name},"${groups}"`,
    );
  }
  writeFileSync(join(directory, "tokens.csv"), `${lines.join("\n")}\n`);
}

function kubeconfigText(port: number, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [
      {
        name: "test",
        cluster: { server: `https://127.0.0.1:${port}`, "certificate-authority": ca },
      },
    ],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
  });
}
