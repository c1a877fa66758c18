import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import {
  openSocket,
  parseAnswer,
  rawRequest,
  readToEnd,
  readUntil,
  sendRaw,
} from "./raw-client.ts";

const idleMs = 1500;
/** More than the buffers of all sockets on the way. */
const largeBytes = 256 << 20;
const piece = Buffer.alloc(1 << 20);
function* pieces(): Generator<Buffer> {
  for (let sent = 0; sent < largeBytes; sent += piece.length) yield piece;
}
let pod: Server;
let gateway: Gateway;
/** Requests that reached the pod, by path, and those that it lost. */
const arrived: string[] = [];
const lost: string[] = [];

/** The path says how: silence, a stream that stops, or one that says a word now and then. */
function answer(url: string, res: ServerResponse): void {
  arrived.push(url);
  res.on("close", () => {
    if (!res.writableFinished) lost.push(url);
  });
  if (url === "/silent") return;
  if (url === "/large") {
    Readable.from(pieces()).pipe(res);
    return;
  }
  if (url !== "/stops" && url !== "/lives") {
    res.end("{}");
    return;
  }
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.write("data: first\n\n");
  if (url === "/stops") return;
  let events = 0;
  const timer = setInterval(() => {
    if (++events < 10) return res.write(`data: ${events}\n\n`);
    clearInterval(timer);
    return res.end("data: [DONE]\n\n");
  }, idleMs / 5);
}

beforeAll(async () => {
  pod = createServer((req, res) => {
    req.resume();
    req.on("end", () => answer(req.url ?? "", res));
  });
  pod.on("upgrade", (_req, socket) => {
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
    socket.on("data", (words: Buffer) => socket.write(words));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
  gateway = await startGateway();
  const retries = { attempts: 3, retryOn: ["connect-failure", "reset-before-request"] };
  await gateway.apply(
    edgeRoute(`127.0.0.1:${(pod.address() as AddressInfo).port}`, {
      resilience: { streamIdleTimeout: `${idleMs / 1000}s`, retries },
    }),
  );
});
afterAll(async () => {
  await gateway?.stop();
  pod?.closeAllConnections();
  pod?.close();
});

describe("streamIdleTimeout", () => {
  it("answers 504 where a pod does not begin, and asks it once", async () => {
    expect((await sendRaw(gateway.url, rawRequest("/silent"))).status).toBe(504);
    expect(arrived.filter((url) => url === "/silent")).toHaveLength(1);
    await expect.poll(() => lost, { timeout: 10_000 }).toContain("/silent");
  });

  it("cuts a stream that stops, and ends the pod's work", async () => {
    const { body, status } = await sendRaw(gateway.url, rawRequest("/stops"));
    expect(status).toBe(200);
    expect(body).toContain("data: first");
    expect(arrived.filter((url) => url === "/stops")).toHaveLength(1);
    await expect.poll(() => lost, { timeout: 10_000 }).toContain("/stops");
  });

  it("never cuts a stream that says something now and then, however long it is", async () => {
    expect((await sendRaw(gateway.url, rawRequest("/lives"))).body).toContain("data: [DONE]");
  });

  it("does not cut a client that is slow to send its request", async () => {
    const socket = await openSocket(gateway.url);
    const all = readToEnd(socket);
    socket.write(rawRequest("/v1/models", ["content-length: 4"], "POST"));
    for (const letter of ["a", "b", "c", "d"]) {
      await sendRaw(gateway.url, rawRequest("/silent"));
      socket.write(letter);
    }
    expect(parseAnswer(await all).status).toBe(200);
  });

  it("cuts a client that does not read, which holds its pod back", async () => {
    const socket = await openSocket(gateway.url);
    socket.pause();
    socket.write(rawRequest("/large"));
    await expect.poll(() => lost, { timeout: 20_000 }).toContain("/large");
    socket.destroy();
  });

  it("does not cut a WebSocket on which nothing moves", async () => {
    const socket = await openSocket(gateway.url);
    const upgrade = ["GET /ws HTTP/1.1", "host: chat.example.com", "connection: upgrade"];
    const opened = readUntil(socket, (text) => text.includes("101"));
    socket.write(
      `${[...upgrade, "upgrade: websocket", "sec-websocket-version: 13"].join("\r\n")}\r\n\r\n`,
    );
    await opened;
    // Each of these takes as long as the timeout.
    for (let i = 0; i < 3; i++) await sendRaw(gateway.url, rawRequest("/silent"));
    const echoed = readUntil(socket, (text) => text.includes("still here"));
    socket.write("still here");
    expect(await echoed).toContain("still here");
    socket.destroy();
  });
});
