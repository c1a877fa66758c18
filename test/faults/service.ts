import { type ChildProcess, spawn } from "node:child_process";
import { expect, onTestFinished } from "vitest";
import { freePorts } from "../free-ports.ts";

/** A control service in a process of its own. */
export interface Service {
  child: ChildProcess;
  api: number;
  xds: number;
  /** Where its API is called. */
  url: string;
  /** Status of /readyz; 0 when nothing answers. */
  ready(): Promise<number>;
}

/**
 * Starts `weir serve` and waits until it is ready; it ends with the test.
 * @param shell what a shell does with the command, "$@": limits, where its output goes
 */
export async function startService(
  flags: readonly string[],
  { shell = 'exec "$@"', env = {} }: { shell?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Service> {
  const [api = 0, xds = 0] = await freePorts(2);
  const serve = ["dist/control/main.js", "serve", ...flags];
  const addresses = ["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`];
  const child = spawn("bash", ["-c", shell, "bash", process.execPath, ...serve, ...addresses], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  });
  const url = `http://127.0.0.1:${api}`;
  const ready = () =>
    fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) }).then(
      ({ status }) => status,
      () => 0,
    );
  await expect.poll(ready, { timeout: 30_000 }).toBe(200);
  return { child, api, xds, url, ready };
}
