import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { freePorts } from "../free-ports.ts";

const main = resolve("dist/control/main.js");

/** A pod that runs below `weir register`. */
export interface RegisteringPod {
  name: string;
  address: string;
  /** What the command wrote. */
  said(): string;
  /** Asks the command to end, as a cluster does. */
  terminate(): void;
  /** Kills the command and the pod with kill -9, so that no one says goodbye. */
  kill(): void;
  /** Resolves with the exit code of the command. */
  gone: Promise<number | null>;
}

/** Starts a pod of the variant `stable` of `chat`, which registers at a control service. */
export async function startRegistering(
  server: string,
  name: string,
  flags: readonly string[] = [],
  lease = "3s",
): Promise<RegisteringPod> {
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const command = [main, "register", "--route", "chat", "--variant", "stable"];
  command.push("--address", address, "--health", `http://${address}/health`);
  command.push("--lease", lease);
  command.push("--server", server, ...flags);
  command.push("--", process.execPath, "test/e2e/streaming-pod.js", String(port), name);
  // A group of its own, so that one signal ends the command and the pod together.
  const child: ChildProcess = spawn(process.execPath, command, {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const gone = new Promise<number | null>((done) => child.once("exit", done));
  return {
    name,
    address,
    said: () => said,
    terminate: () => void child.kill("SIGTERM"),
    kill() {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      process.kill(-child.pid, "SIGKILL");
    },
    gone,
  };
}

/** The route `chat` with a variant that pods register for. */
export const openDocument = (resilience = {}) => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name: "chat", namespace: "inference" },
  spec: {
    hosts: ["chat.example.com"],
    variants: [{ name: "stable", weight: 100, register: true }],
    // A failure must not be hidden by another try.
    resilience: { retries: { attempts: 0 }, ...resilience },
  },
});
