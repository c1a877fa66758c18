import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

/** A control service in a process of its own, so that its memory and its life are its own. */
let child: ChildProcess;
let api = 0;
let xds = 0;
const store = mkdtempSync(join(tmpdir(), "weir-faults-"));
beforeAll(async () => {
  child = spawn(
    process.execPath,
    [
      "dist/control/main.js",
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--xds",
      "127.0.0.1:0",
      "--store",
      `lmdb:${store}`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const line = await new Promise<string>((resolve) =>
    child.stderr?.once("data", (chunk: Buffer) => resolve(chunk.toString())),
  );
  [api = 0, xds = 0] = [...line.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
});
afterAll(async () => {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
  rmSync(store, { recursive: true, force: true });
});

const rssMiB = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;

/** Another client's p99, in milliseconds, while something goes on. */
async function p99(calls = 100): Promise<number> {
  const session = connect(`http://127.0.0.1:${api}`);
  const took: number[] = [];
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      const request = session.request({ ":path": "/healthz" });
      request.on("response", () => {});
      request.on("end", resolve);
      request.on("error", reject);
      request.resume();
    });
    took.push(performance.now() - start);
    await sleep(2);
  }
  session.destroy();
  return took.sort((a, b) => a - b)[Math.floor(calls * 0.99) - 1] ?? 0;
}

// A p99 on a busy machine differs from run to run by more than what is looked
// for: what disturbs others all the time also disturbs the best of a few runs.
async function usually(): Promise<number> {
  const runs = [await p99(), await p99(), await p99()].sort((a, b) => a - b);
  return Math.max(runs[1] ?? 0, 5);
}
async function atBest(goodEnoughMs: number): Promise<number> {
  let best = await p99();
  for (let run = 1; run < 8 && best >= goodEnoughMs; run++) best = Math.min(best, await p99());
  return best;
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A raw socket that has said hello in HTTP/2. */
function raw(port: number): { socket: Socket; closed: Promise<void> } {
  const socket = createConnection(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.write(preface);
  socket.write(frame(4, 0, 0, Buffer.alloc(0)));
  return { socket, closed };
}

// A literal header field each, never indexed, never the last.
const fields = Buffer.concat(Array(3000).fill(Buffer.from([0x00, 1, 0x61, 1, 0x62])));
const headers = Buffer.from([0x83, 0x86, 0x84, 0x41, 0x01, 0x61]);
const window = frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]));

/** What no client that means well sends. */
const abuses: [string, Buffer][] = [
  ["headers that no table explains", frame(1, 4, 1, Buffer.alloc(64, 0xff))],
  ["a window beyond 31 bits", Buffer.concat([window, window, window])],
  ["a frame larger than was agreed", frame(0, 0, 1, Buffer.alloc(1 << 20))],
  [
    "CONTINUATION without end",
    Buffer.concat([
      frame(1, 0, 1, Buffer.from([0x82])),
      ...Array<Buffer>(100).fill(frame(9, 0, 1, fields)),
    ]),
  ],
  [
    "streams reset as soon as they are opened",
    Buffer.concat(
      Array.from({ length: 20_000 }, (_, i) => 2 * i + 1).flatMap((stream) => [
        frame(1, 4, stream, headers),
        frame(3, 0, stream, Buffer.from([0, 0, 0, 8])),
      ]),
    ),
  ],
];

describe.concurrent.each([
  ["the API", () => api],
  ["xDS", () => xds],
])("A4: %s", (_name, port) => {
  it.each(abuses)("closes the session that sends %s, and goes on", async (_what, bytes) => {
    const before = rssMiB();
    const { socket, closed } = raw(port());
    socket.write(bytes);
    await Promise.race([
      closed,
      sleep(20_000).then(() => Promise.reject(new Error("the session was not closed"))),
    ]);
    socket.destroy();
    expect(child.exitCode).toBeNull();
    // All of these run at once.
    expect(rssMiB() - before).toBeLessThan(128);
    await p99(3);
  });
});

describe("A4: sessions that are abused again and again", () => {
  it.each(abuses)(
    "with %s leave other clients' p99 within twice of what it was",
    async (_what, bytes) => {
      await p99(50);
      const quiet = await usually();
      const sockets: Socket[] = [];
      // Some are cut at once, others are told to go and are cut when they stay.
      const abuse = setInterval(() => {
        const { socket } = raw(api);
        socket.write(bytes);
        sockets.push(socket);
      }, 50);
      onTestFinished(() => {
        clearInterval(abuse);
        for (const socket of sockets) socket.destroy();
      });
      const busy = await atBest(quiet * 2);
      expect(sockets.length).toBeGreaterThan(3);
      expect(busy).toBeLessThan(quiet * 2);
    },
  );
});

describe("A3: connections that do nothing", () => {
  it("by the thousand leave other clients' p99 within twice of what it was, and are cut", async () => {
    await p99(50);
    const quiet = await usually();
    const wanted = Number(process.env.WEIR_IDLE_SOCKETS ?? 2_000);
    const sockets: Socket[] = [];
    let open = 0;
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    for (let i = 0; i < wanted; i++) {
      const socket = createConnection(api, "127.0.0.1", () => open++);
      socket.on("error", () => {});
      socket.on("close", () => open--);
      socket.resume();
      sockets.push(socket);
      if (i % 200 === 199) await sleep(20);
    }
    await expect.poll(() => open, { timeout: 20_000 }).toBeGreaterThan(wanted * 0.95);
    const busy = await atBest(quiet * 2);
    await expect.poll(() => open, { timeout: 40_000, interval: 500 }).toBe(0);
    expect(busy).toBeLessThan(quiet * 2);
  });

  it("that send a byte of a header now and then are cut", async () => {
    const socket = createConnection(api, "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    const closed = new Promise((resolve) => socket.on("close", () => resolve("closed")));
    socket.write("POST / HTTP/1.1\r\n");
    const drip = setInterval(() => socket.write("x"), 3_000);
    onTestFinished(() => {
      clearInterval(drip);
      socket.destroy();
    });
    expect(await Promise.race([closed, sleep(50_000)])).toBe("closed");
  });

  it("and readers that read nothing hold up no one", async () => {
    const quiet = await usually();
    const sessions: ClientHttp2Session[] = [];
    for (let i = 0; i < 100; i++) {
      const session = connect(`http://127.0.0.1:${api}`, { settings: { initialWindowSize: 1 } });
      session.on("error", () => {});
      const request = session.request({ ":path": "/" });
      request.on("error", () => {});
      sessions.push(session);
    }
    onTestFinished(() => {
      for (const session of sessions) session.destroy();
    });
    expect(await atBest(quiet * 2)).toBeLessThan(quiet * 2);
  });
});
