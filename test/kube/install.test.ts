import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { blocksOf } from "../docs/pages.ts";
import { freePorts } from "../free-ports.ts";
import { buildIstio, run } from "../istio/istio-tools.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { eventually, type Program, startProgram } from "./processes.ts";

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  spec?: { template?: { spec: { containers: { args: string[] }[] } } };
}
const read = (text: string) =>
  parseAllDocuments(text)
    .map((each) => each.toJS() as Manifest | null)
    .filter((each) => each !== null);
const idOf = ({ kind, metadata }: Manifest) =>
  `${kind} ${metadata.namespace ?? ""}/${metadata.name}`;

const blocks = blocksOf("docs/kubernetes.md", "sh");

describe("the installation", { timeout: 240_000 }, () => {
  let cluster: Cluster;
  let tools: Record<string, string>;
  let directory: string;
  let weir: Program | undefined;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    tools = buildIstio("kubectl", "cluster-tools", "istioctl");
    cluster = await startCluster({ istio: true, own: false });
    directory = mkdtempSync(join(tmpdir(), "weir-install-"));
    for (const name of ["kubectl", "istioctl"])
      symlinkSync(tools[name] ?? "", join(directory, name));
    writeFileSync(
      join(directory, "weir"),
      `#!/bin/sh\nexec "${process.execPath}" "${resolve("dist/control/main.js")}" "$@"\n`,
      { mode: 0o755 },
    );
    const [api = 0, xds = 0] = await freePorts(2);
    environment = {
      ...process.env,
      PATH: `${directory}${delimiter}${process.env.PATH}`,
      HOME: directory,
      KUBECONFIG: cluster.kubeconfig(),
      WEIR_SERVER: `http://127.0.0.1:${api}`,
      WEIR_XDS: `127.0.0.1:${xds}`,
    };
  }, 40 * 60_000);
  afterAll(async () => {
    await weir?.stop();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const kustomized = async () => read(await cluster.mustKubectl(["kustomize", "istio/base"]));

  /** What the Deployment would run, with the rights it would have, on ports of this machine. */
  async function startAsDeployed(): Promise<void> {
    const deployment = (await kustomized()).find(({ kind }) => kind === "Deployment");
    const encoded = await cluster.mustKubectl([
      ...["get", "secret", "weir-token", "-n", "weir-system", "-o", "jsonpath={.data.token}"],
    ]);
    const token = join(directory, "token");
    writeFileSync(token, Buffer.from(encoded, "base64"));
    environment.WEIR_TOKEN = readFileSync(token, "utf8");
    const args = (deployment?.spec?.template?.spec.containers[0]?.args ?? []).map((arg) =>
      arg
        .replace("0.0.0.0:8080", `${environment.WEIR_SERVER}`.replace("http://", ""))
        .replace("0.0.0.0:18000", `${environment.WEIR_XDS}`)
        .replace("/etc/weir/token/token", token),
    );
    weir = startProgram(process.execPath, ["dist/control/main.js", ...args], {
      KUBECONFIG: cluster.kubeconfig("weir-system/weir"),
    });
    const program = weir;
    await eventually(
      async () => (await fetch(`${environment.WEIR_SERVER}/readyz`)).ok,
      "the control service serves",
      60_000,
    ).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}\n${program.said()}`);
    });
  }

  test("goes as its page says, with the rights that it asks for", async () => {
    expect(blocks.length).toBeGreaterThanOrEqual(5);
    for (const [index, commands] of blocks.entries()) {
      const args = ["-euo", "pipefail", "-c", commands];
      const child = startProgram("bash", args, environment as Record<string, string>);
      const code = await new Promise((done) => child.process.once("exit", done));
      expect({ commands, code, said: child.said() }).toEqual({
        commands,
        code: 0,
        said: child.said(),
      });
      if (index === 0) await startAsDeployed();
      if (commands.includes("weir shift")) {
        expect(child.said()).toMatch(/^70 30/m);
        expect(child.said()).toContain("first looks good");
      }
      if (commands.includes("kubectl explain"))
        expect(child.said()).toContain("Limits the sustained rate of a tenant");
      if (commands.includes("inferenceroute/chat"))
        expect(child.said()).toMatch(/chat\s+\["chat.example.com"\].*True\s+True/);
    }
    const rest = "virtualservices,destinationrules,trafficextensions,envoyfilters";
    expect(await cluster.mustKubectl(["get", rest, "-A", "-o", "name"])).toBe("");
  });

  test("is not needed where manifests are applied by hand, as the Istio guide does", async () => {
    const folder = mkdtempSync(join(tmpdir(), "weir-by-hand-"));
    symlinkSync(resolve("examples"), join(folder, "examples"));
    // What a team has before it comes to Weir: the model's Service, and a gateway.
    const had = [
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "llm", namespace: "inference" },
        spec: { selector: { app: "llm" }, ports: [{ name: "http", port: 8000 }] },
      },
      {
        apiVersion: "networking.istio.io/v1",
        kind: "Gateway",
        metadata: { name: "public", namespace: "istio-system" },
        spec: {
          selector: { istio: "ingressgateway" },
          servers: [{ port: { number: 80, name: "http", protocol: "HTTP" }, hosts: ["*"] }],
        },
      },
    ];
    await cluster.mustKubectl(
      ["apply", "-f", "-"],
      had.map((each) => JSON.stringify(each)).join("\n---\n"),
    );
    for (const commands of blocksOf("docs/istio.md", "sh")) {
      const { status, stdout, stderr } = spawnSync(
        "bash",
        ["-euo", "pipefail", "-c", commands.replaceAll("npx weir", "weir")],
        { cwd: folder, env: environment, encoding: "utf8" },
      );
      expect(status, `${commands}\n${stdout}\n${stderr}`).toBe(0);
    }
    await cluster.mustKubectl(["delete", "-f", join(folder, "istio.yaml")]);
    rmSync(folder, { recursive: true });
  });

  test("asks for no more than it needs", async () => {
    const can = async (verb: string, what: string, ...args: string[]) =>
      (
        await cluster.kubectl(["auth", "can-i", verb, what, ...args], "", "weir-system/weir")
      ).stdout.trim();
    expect(await can("get", "secrets", "-A")).toBe("no");
    expect(await can("create", "pods", "-A")).toBe("no");
    expect(await can("update", "virtualservices.networking.istio.io", "-A")).toBe("no");
    expect(await can("list", "routechanges.weir.dev", "-n", "inference")).toBe("no");
    expect(await can("patch", "virtualservices.networking.istio.io", "-A")).toBe("yes");
  });

  test("keeps the cluster's strictest rules for pods", async () => {
    const deployment = (await kustomized()).find(({ kind }) => kind === "Deployment");
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "weir", namespace: "weir-system" },
      spec: deployment?.spec?.template?.spec,
    };
    const create = (object: object) =>
      cluster.kubectl(["create", "--dry-run=server", "-f", "-"], JSON.stringify(object));
    expect((await create(pod)).stderr).toBe("");
    const loose = JSON.stringify(pod).replace('"runAsNonRoot":true', '"runAsNonRoot":false');
    expect((await create(JSON.parse(loose))).stderr).toContain("violates PodSecurity");
  });

  test("is the same from the Helm chart", async () => {
    const values = {
      ...(read(readFileSync("istio/chart/values.yaml", "utf8"))[0] as object),
      wasm: { url: "oci://registry.example.com/weir", sha256: "0".repeat(64) },
    };
    const { code, stdout, stderr } = run(
      tools["cluster-tools"],
      ...["template", "istio/chart", "weir-system", JSON.stringify(values)],
    );
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const chart = read(stdout);
    const base = (await kustomized()).filter(({ kind }) => kind !== "Namespace");
    expect(chart.map(idOf).sort()).toEqual(base.map(idOf).sort());
    for (const kind of ["ClusterRole", "Role", "NetworkPolicy", "PodDisruptionBudget", "Service"]) {
      const [a, b] = [chart, base].map((all) => all.find((each) => each.kind === kind));
      expect({ ...a, metadata: undefined }).toEqual({ ...b, metadata: undefined });
    }
    const args = chart.find(({ kind }) => kind === "Deployment")?.spec?.template?.spec.containers[0]
      ?.args;
    expect(args).toContain(`--wasm-sha256=${"0".repeat(64)}`);
    await cluster.mustKubectl(
      ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"],
      stdout,
    );
  });
});
