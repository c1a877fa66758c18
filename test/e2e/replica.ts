import { type ChildProcess, spawn } from "node:child_process";
import { expect } from "vitest";
import { clientsOf } from "../api/clients.ts";

/** A replica of the control service in a process of its own. */
export type Replica = ReturnType<typeof createReplica>;

export interface ReplicaOptions {
  /** What its command starts with, so that it runs on a machine of its own. */
  command: readonly string[];
  /** host:port of its API and of its xDS. */
  api: string;
  xds: string;
  /** Further flags of `weir serve`. */
  flags: readonly string[];
  /** Bearer token of its clients. */
  token: string;
}

const callMs = 10_000;

export function createReplica({ command, api, xds, flags, token }: ReplicaOptions) {
  let child: ChildProcess | undefined;
  let said = "";
  const runs = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const isUp = () =>
    fetch(`http://${api}/healthz`, { signal: AbortSignal.timeout(2_000) }).then(
      ({ ok }) => ok,
      () => false,
    );

  async function end(signal: NodeJS.Signals): Promise<void> {
    if (!runs()) return;
    const gone = new Promise((resolve) => child?.once("exit", resolve));
    child?.kill(signal);
    await gone;
  }

  return {
    ...clientsOf(`http://${api}`, { token, timeoutMs: callMs }),
    async start() {
      const [file = "", ...args] = [...command, process.execPath, "dist/control/main.js", "serve"];
      child = spawn(file, [...args, "--listen", api, "--xds", xds, ...flags], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      child.stderr?.on("data", (chunk: Buffer) => {
        said = (said + chunk).slice(-4_000);
      });
      await expect.poll(isUp, { timeout: 60_000, message: "a replica to answer" }).toBe(true);
    },
    /** What it wrote last, for a test that failed. */
    said: () => said,
    kill: () => end("SIGKILL"),
    /** As an upgrade does; resolves when it is gone. */
    terminate: () => end("SIGTERM"),
    pause: () => child?.kill("SIGSTOP"),
    resume: () => child?.kill("SIGCONT"),
  };
}
