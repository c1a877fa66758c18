import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Agent, WebSocket } from "undici";
import { afterAll, beforeAll, expect, it } from "vitest";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { openSocket, rawRequest, readUntil, sendRaw } from "./raw-client.ts";

// What an upgrade does: a pod that accepts WebSockets and sends back what comes.

let pod: Server;
let gateway: Gateway;
const sockets = new Set<Socket>();
let upgrades = 0;

beforeAll(async () => {
  pod = createServer((_req, res) => res.end("{}"));
  pod.on("upgrade", (req, socket: Socket) => {
    upgrades++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("end", () => socket.end());
    const accept = createHash("sha1")
      .update(`${req.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    // A WebSocket frame with the text "hello", then whatever comes, as it comes.
    socket.write(Buffer.from("810568656c6c6f", "hex"));
    socket.on("data", (chunk) => socket.write(chunk));
  });
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
  gateway = await startGateway({ edge: { streamIdleTimeoutMs: 2000 } });
  await gateway.apply(
    edgeRoute(`127.0.0.1:${(pod.address() as AddressInfo).port}`, {
      canary: { stickyBy: [{ header: "x-user-id" }] },
      tokens: { measure: true },
      compression: { algorithms: ["gzip"] },
      // A stream that lives longer than this is an answer that takes too long; an upgrade is no answer.
      resilience: { timeout: "1s" },
      rateLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { one: { requestsPerSecond: 1000, burst: 1000, concurrent: 1 } },
        tenants: {},
        default: "one",
      },
    }),
  );
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await gateway?.stop();
  pod?.closeAllConnections();
  pod?.close();
});

const handshake = [
  "GET /v1/realtime HTTP/1.1",
  "host: chat.example.com",
  "connection: upgrade",
  "upgrade: websocket",
  "sec-websocket-version: 13",
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "accept-encoding: gzip",
  "\r\n",
].join("\r\n");

async function requests(): Promise<number> {
  const stats = await (await fetch(`${gateway.admin}/stats/prometheus?filter=weir_canary`)).text();
  return [...stats.matchAll(/^weir_canary_requests_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}

const another = async () => (await sendRaw(gateway.url, rawRequest("/v1/models"))).status;

it("B9 a WebSocket is passed on: 101, bytes both ways, one request, one in flight until it ends", async () => {
  const before = await requests();
  const socket = await openSocket(gateway.url);
  socket.write(handshake);
  const head = await readUntil(socket, (text) => text.endsWith("hello"));
  expect(head).toContain("HTTP/1.1 101 Switching Protocols");
  expect(head).not.toContain("content-encoding");
  // Longer than the route's timeout and than the time that a stream may stand still.
  const end = Date.now() + 3500;
  for (let i = 0; Date.now() < end; i++) {
    socket.write(`<${i}>`);
    await readUntil(socket, (text) => text.endsWith(`<${i}>`));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(await another()).toBe(429);
  expect(await requests()).toBe(before + 1);
  expect(upgrades).toBe(1);
  socket.destroy();
  await expect.poll(another, { timeout: 10_000 }).toBe(200);
  await expect.poll(() => sockets.size, { timeout: 10_000 }).toBe(0);
});

it("a WebSocket on which nothing moves is closed, and its place is free", async () => {
  await expect.poll(another, { timeout: 10_000 }).toBe(200);
  const socket = await openSocket(gateway.url);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(handshake);
  await readUntil(socket, (text) => text.endsWith("hello"));
  await closed;
  await expect.poll(another, { timeout: 10_000 }).toBe(200);
});

it("a WebSocket client of someone else's is served", async () => {
  await expect.poll(another, { timeout: 10_000 }).toBe(200);
  const [, port] = new URL(gateway.url).host.split(":");

  const dispatcher = new Agent({
    connect: { lookup: (_n, _o, done) => done(null, [{ address: "127.0.0.1", family: 4 }]) },
  });
  const socket = new WebSocket(`ws://chat.example.com:${port}/v1/realtime`, { dispatcher });
  const text = await new Promise((resolve, reject) => {
    socket.addEventListener("message", ({ data }) => resolve(data));
    socket.addEventListener("error", ({ error }) => reject(error));
  });
  expect(text).toBe("hello");
  socket.close();
  await dispatcher.destroy();
});

it("other upgrades are answered as if they had not been asked for", async () => {
  await expect.poll(another, { timeout: 10_000 }).toBe(200);
  const headers = ["upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"];
  const before = upgrades;
  expect((await sendRaw(gateway.url, rawRequest("/v1/models", headers))).status).toBe(200);
  expect(upgrades).toBe(before);
});
