import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { expect } from "vitest";

/** Accepts connections until it is told something, with the shortest queue that a kernel keeps. */
const listener = `
const { writeSync } = require("node:fs");
const server = require("node:net").createServer((socket) => socket.on("error", () => {}));
server.listen({ host: "127.0.0.1", port: Number(process.argv[1]), backlog: 1 }, () => writeSync(1, "listens"));
process.stdin.once("data", () => {
  writeSync(1, "is silent");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** A pod that lives as far as can be seen from outside, until its packets are dropped. */
export interface SilentPod {
  /** From now on nobody that connects gets an answer, not even a refusal. */
  fallSilent(): Promise<void>;
  close(): Promise<void>;
}

export async function startSilentPod(port: number): Promise<SilentPod> {
  const child = spawn(process.execPath, ["-e", listener, String(port)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const queued = new AbortController();
  return {
    async fallSilent() {
      child.stdin.write("now");
      await once(child.stdout, "data");
      // Whoever else connects meanwhile takes a place as well: of these some may never connect.
      for (let i = 0; i < 2; i++)
        connect({ host: "127.0.0.1", port, signal: queued.signal }).on("error", () => {});
      await expect.poll(() => waitingAt(port), { timeout: 10_000 }).toBe(2);
    },
    async close() {
      queued.abort();
      await end(child);
    },
  };
}

/** Connections that the kernel has made for a listener which has not taken them; Linux makes one more than asked for. */
function waitingAt(port: number): number {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const [, , , , queues = ""] =
    rows
      .map((row) => row.trim().split(/\s+/))
      .find(([, at, , state]) => at === address && state === "0A") ?? [];
  return Number.parseInt(queues.split(":")[1] ?? "", 16);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
