import { type ClientHttp2Session, connect } from "node:http2";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Measured, startMeasured } from "./measured.ts";
import { frame, rawClient, reset } from "./raw-http2.ts";

let service: Measured;
beforeAll(async () => {
  service = await startMeasured();
});
afterAll(() => service.stop());

const rssMiB = () => service.rssMiB();
const p99 = (calls?: number) => service.p99(calls);
const usually = () => service.usually();
const atBest = (goodEnoughMs: number) => service.atBest(goodEnoughMs);

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
        reset(stream),
      ]),
    ),
  ],
];

describe.concurrent.each([
  ["the API", () => service.api],
  ["xDS", () => service.xds],
])("A4: %s", (_name, port) => {
  it.each(abuses)("closes the session that sends %s, and goes on", async (_what, bytes) => {
    const before = rssMiB();
    const { socket, closed } = rawClient(port());
    socket.write(bytes);
    await Promise.race([
      closed,
      sleep(20_000).then(() => Promise.reject(new Error("the session was not closed"))),
    ]);
    socket.destroy();
    expect(service.child.exitCode).toBeNull();
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
        const { socket } = rawClient(service.api);
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
      const socket = createConnection(service.api, "127.0.0.1", () => open++);
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
    const socket = createConnection(service.api, "127.0.0.1");
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
      const session = connect(`http://127.0.0.1:${service.api}`, {
        settings: { initialWindowSize: 1 },
      });
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
