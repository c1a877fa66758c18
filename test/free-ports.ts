import { once } from "node:events";
import { createServer, type Server } from "node:net";

// Below the ports that the kernel picks by itself for port 0 and for outgoing connections, which
// begin at 32768: whoever is given one of those can take a free one away at any time.
const first = 20_000;
const blockSize = 32;
const blocks = 390;

/** Of each block that is this process's, the first port is held: no other process takes the block. */
const held: Server[] = [];
let free: number[] = [];
/** Processes begin at different blocks, so that ports that were just given back rest for a while. */
let next = Math.floor(Math.random() * blocks);

/**
 * Ports that nobody listens on now, neither on loopback nor elsewhere, all different. None is
 * given twice to this process or to others, for as long as this one lives.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = free.shift();
    if (port === undefined) await takeBlock();
    else if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function takeBlock(): Promise<void> {
  for (let looked = 0; looked < blocks; looked++) {
    const start = first + blockSize * (next++ % blocks);
    const server = await listen(start, "127.0.0.1");
    if (server === undefined) continue;
    server.unref();
    held.push(server);
    // Whoever waited for a block at the same time adds theirs.
    free = [...free, ...Array.from({ length: blockSize - 1 }, (_, i) => start + 1 + i)];
    return;
  }
  throw new Error(`others hold all ports from ${first} to ${first + blockSize * blocks - 1}`);
}

async function isFree(port: number): Promise<boolean> {
  for (const host of ["127.0.0.1", "0.0.0.0", "::1"]) {
    const server = await listen(port, host);
    if (server === undefined) return false;
    await new Promise((closed) => server.close(closed));
  }
  return true;
}

/** @returns undefined if someone else listens there; a machine without IPv6 has nobody on ::1 */
async function listen(port: number, host: string): Promise<Server | undefined> {
  const server = createServer();
  try {
    await once(server.listen({ port, host }), "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") return undefined;
    if (code !== "EADDRNOTAVAIL" && code !== "EAFNOSUPPORT") throw error;
  }
  return server;
}
