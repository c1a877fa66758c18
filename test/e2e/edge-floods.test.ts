import { connect as connectHttp2 } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "./backend.ts";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { openSocket, rawRequest, sendRaw } from "./raw-client.ts";

// Floods of HTTP/2, at a gateway that waits for minutes: only what they are ends these connections.

let pod: Backend;
let gateway: Gateway;

beforeAll(async () => {
  pod = await startBackend("stable");
  gateway = await startGateway();
  await gateway.apply(edgeRoute(pod.endpoint));
});
afterAll(async () => {
  await gateway?.stop();
  await pod?.close();
});

const served = async () => (await sendRaw(gateway.url, rawRequest("/v1/models"))).status;

async function stat(name: string): Promise<number> {
  const text = await (await fetch(`${gateway.admin}/stats?filter=^${name}$`)).text();
  return Number(/: (\d+)/.exec(text)?.[1] ?? 0);
}

describe("a rude HTTP/2 client", () => {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const settings = frame(4, 0, 0);
  const floods: [string, string, Buffer, number][] = [
    ["PINGs that it never reads the answers of", "", frame(6, 0, 0, Buffer.alloc(8)), 600_000],
    ["SETTINGS, likewise", "", settings, 600_000],
    [
      "PRIORITY frames",
      "inbound_priority_frames_flood",
      frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 15])),
      20_000,
    ],
    ["empty DATA", "inbound_empty_frames_flood", frame(0, 0, 1), 1000],
  ];

  it.each(floods)(
    "with %s loses its connection, and others are served",
    async (name, reason, one, count) => {
      const before = await stat(`http2.${reason}`);
      const socket = await openSocket(gateway.url);
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      let gone = false;
      void closed.then(() => {
        gone = true;
      });
      socket.write(Buffer.concat([preface, settings]));
      if (name === "empty DATA") {
        // POST / of this host, in literals without indexing, and open for a body.
        const literal = (key: string, value: string) =>
          Buffer.concat([
            Buffer.from([0, key.length]),
            Buffer.from(key),
            Buffer.from([value.length]),
            Buffer.from(value),
          ]);
        const headers = Buffer.concat([
          literal(":method", "POST"),
          literal(":scheme", "http"),
          literal(":path", "/silent"),
          literal(":authority", "chat.example.com"),
        ]);
        socket.write(frame(1, 4, 1, headers));
      }
      if (count > 100_000) socket.pause();
      const piece = Buffer.concat(Array.from({ length: 1000 }, () => one));
      for (let sent = 0; sent < count && !gone; sent += 1000)
        if (!socket.write(piece))
          await Promise.race([
            closed,
            new Promise((resolve) => socket.once("drain", resolve)),
            sleep(5000),
          ]);
      socket.resume();
      await closed;
      // The other two end in the codec, which counts nothing.
      if (reason) expect(await stat(`http2.${reason}`)).toBe(before + 1);
      expect(await served()).toBe(200);
    },
  );

  it("may have 100 streams at once", async () => {
    const session = connectHttp2(gateway.url);
    const settings = await new Promise<{ maxConcurrentStreams?: number | undefined }>((resolve) =>
      session.once("remoteSettings", resolve),
    );
    expect(settings.maxConcurrentStreams).toBe(100);
    session.destroy();
  });

  it("that takes streams back as fast as it opens them loses its connection, and others are served", async () => {
    const session = connectHttp2(gateway.url);
    session.on("error", () => {});
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    const others: number[] = [];
    for (let round = 0; round < 40 && !session.closed && !session.destroyed; round++) {
      for (let i = 0; i < 50 && !session.closed && !session.destroyed; i++) {
        const stream = session.request({ ":path": "/silent", ":authority": "chat.example.com" });
        stream.on("error", () => {});
        stream.close(8);
      }
      others.push(await served());
    }
    await closed;
    expect(others.every((status) => status === 200)).toBe(true);
    expect(await stat("http.weir.downstream_rq_too_many_premature_resets")).toBe(1);
  });
});
