import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts } from "../free-ports.ts";

const run = promisify(execFile);
const weirBin = "dist/control/main.js";

/** A `weir up` of its own, on free ports. */
export interface WeirUp {
  gateway: string;
  server: string;
  /** Its xDS address, host and port. */
  xds: string;
  admin: string;
  store: string;
  /** Runs a weir command against it; rejects when it fails. */
  weir(...args: string[]): Promise<string>;
  child: ChildProcess;
  output(): string;
  stop(): Promise<void>;
}

/** Runs a command to its end, whatever its exit code. */
export async function weir(
  args: readonly string[],
  input?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [weirBin, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const code = await new Promise<number>((resolve) =>
    child.on("close", (status) => resolve(status ?? -1)),
  );
  return { code, stdout, stderr };
}

export async function weirUp(
  flags: readonly string[] = [],
  env: Record<string, string> = {},
  podCount = 2,
): Promise<WeirUp> {
  const [listen, xds, gateway, admin, ...pods] = await freePorts(4 + podCount);
  const at = (port: number | undefined) => `127.0.0.1:${port}`;
  const store = mkdtempSync(join(tmpdir(), "weir-e2e-"));
  const args = [
    "up",
    "--listen",
    at(listen),
    "--xds",
    at(xds),
    "--gateway",
    at(gateway),
    "--admin",
    at(admin),
  ];
  const placed = pods.length > 0 ? ["--pods", pods.map(at).join(",")] : [];
  const child = spawn(
    process.execPath,
    [weirBin, ...args, ...placed, "--store", `lmdb:${store}`, ...flags],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
    },
  );
  let output = "";
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      if (/^ready$/m.test(output)) resolve();
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => reject(new Error(`weir up ended with ${code}:\n${output}`)));
  });
  return {
    gateway: `http://${at(gateway)}`,
    server: `http://${at(listen)}`,
    xds: at(xds),
    admin: `http://${at(admin)}`,
    store,
    child,
    output: () => output,
    weir: async (...command) =>
      (await run(process.execPath, [weirBin, ...command, "--server", at(listen)])).stdout,
    async stop() {
      child.kill("SIGINT");
      await ended;
      rmSync(store, { recursive: true, force: true });
    },
  };
}
