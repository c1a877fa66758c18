import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A process that listens and accepts nothing, with the shortest queue that a kernel keeps. */
const listener = `
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: Number(process.argv[1]), backlog: 1 }, () => {
  require("node:fs").writeSync(1, "listens");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** A pod whose packets are dropped: nobody that connects gets an answer, not even a refusal. */
export interface SilentPod {
  close(): Promise<void>;
}

/** Listens on a port and fills its queue, so that the kernel drops what comes after. */
export async function startSilentPod(port: number): Promise<SilentPod> {
  const child = spawn(process.execPath, ["-e", listener, String(port)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  // Linux takes one more than the queue's length.
  const queued = [1, 2].map(() => connect({ host: "127.0.0.1", port }));
  await Promise.all(queued.map((socket) => once(socket, "connect")));
  return { close: () => end(child, queued) };
}

async function end(child: ChildProcess, queued: Socket[]): Promise<void> {
  for (const socket of queued) {
    socket.on("error", () => {});
    socket.destroy();
  }
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
