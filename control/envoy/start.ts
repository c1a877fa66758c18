import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface EnvoyOptions {
  binary: string;
  /** Bootstrap as YAML. */
  bootstrap: string;
  /** Where its admin interface will be, for the readiness check. */
  admin: { host: string; port: number };
  /** Worker threads. */
  concurrency: number;
  logLevel?: string;
}

/** A running Envoy. */
export interface Envoy {
  pid: number;
  /** What it logged so far. */
  log(): string;
  /** Resolves with a reason when it ends on its own. */
  ended: Promise<string>;
  /** Ends it and removes what it left behind. */
  stop(): Promise<void>;
}

const readyMs = 60_000;

/**
 * Starts an Envoy with a directory of its own for configuration and log.
 * @throws Error with Envoy's last log line when it ends before its admin interface answers
 */
export async function startEnvoy({
  binary,
  bootstrap,
  admin,
  concurrency,
  logLevel,
}: EnvoyOptions): Promise<Envoy> {
  const directory = mkdtempSync(join(tmpdir(), "weir-envoy-"));
  const config = join(directory, "bootstrap.yaml");
  const logFile = join(directory, "envoy.log");
  writeFileSync(config, bootstrap);
  const args = ["-c", config, "--concurrency", String(concurrency), "--disable-hot-restart"];
  const child = spawn(
    binary,
    [...args, "--log-level", logLevel ?? "warning", "--log-path", logFile],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-20_000);
  });
  const log = () => words + readLog(logFile);
  let running = true;
  const ended = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) =>
      resolve(`envoy ended with ${code ?? signal}: ${lastWords(log())}`),
    );
  });
  void ended.then(() => {
    running = false;
  });
  async function stop(): Promise<void> {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(timer);
    rmSync(directory, { recursive: true, force: true });
  }

  const deadline = Date.now() + readyMs;
  while (running && Date.now() < deadline) {
    if (await answers(admin)) return { pid: child.pid ?? 0, log, ended, stop };
    await sleep(50);
  }
  const reason = running
    ? `envoy did not become ready within ${readyMs / 1000} s: ${lastWords(log())}`
    : await ended;
  await stop();
  throw new Error(reason);
}

async function answers({ host, port }: EnvoyOptions["admin"]): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${port}/server_info`, {
      signal: AbortSignal.timeout(1000),
    });
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}

function readLog(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Finds the line of a log that gives the reason. */
function lastWords(log: string): string {
  const lines = log.trim().split("\n");
  return lines.findLast((line) => /\[(critical|error)\]/.test(line)) ?? lines.at(-1) ?? "";
}
