import { createServer as createHttp1, type RequestListener } from "node:http";
import { createServer as createHttp2, type Http2Server, type ServerHttp2Session } from "node:http2";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import type { Address } from "./xds/index.ts";

/** A listening server. */
export interface Listening {
  address: Address;
  /** Stops listening and ends what is open, after a moment for what is under way. */
  close(): Promise<void>;
}

/** The address cannot be listened on; the message names it and the flag that changes it. */
export class ListenError extends Error {
  override name = "ListenError";
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const headersTimeoutMs = 15_000;
const graceMs = 1_000;

/**
 * HTTP/1.1 and HTTP/2 in clear text on one port: a connection that opens with
 * the preface of RFC 9113, section 3.4 is HTTP/2.
 */
export function listenBoth(
  address: Address,
  flag: string,
  onRequest: RequestListener,
  http2: Http2Server,
): Promise<Listening> {
  const http1 = createHttp1({ headersTimeout: headersTimeoutMs, requestTimeout: 0 }, onRequest);
  const sessions = trackSessions(http2);
  const sockets = new Set<Socket>();
  const tcp = createTcp((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(headersTimeoutMs, () => socket.destroy());
    socket.once("readable", () => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      socket.unshift(chunk);
      const start = chunk.toString("latin1", 0, preface.length);
      (preface.startsWith(start) && start.length >= 3 ? http2 : http1).emit("connection", socket);
    });
  });
  return listening(tcp, address, flag, async () => {
    for (const session of sessions) session.close();
    http1.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await new Promise<void>((resolve) => tcp.close(() => resolve()));
    clearTimeout(timer);
  });
}

/** HTTP/2 in clear text alone, for xDS. */
export function listenHttp2(
  address: Address,
  flag: string,
  http2: Http2Server,
): Promise<Listening> {
  const sessions = trackSessions(http2);
  return listening(http2, address, flag, async () => {
    const closed = new Promise<void>((resolve) => http2.close(() => resolve()));
    for (const session of sessions) session.close();
    const timer = setTimeout(() => {
      for (const session of sessions) session.destroy();
    }, graceMs);
    await closed;
    clearTimeout(timer);
  });
}

export function createHttp2Server(onRequest?: Parameters<typeof createHttp2>[1]): Http2Server {
  // Proxies keep one stream open for ever; what one session may cost is bounded.
  return createHttp2({ maxSessionMemory: 32, settings: { maxConcurrentStreams: 250 } }, onRequest);
}

function trackSessions(http2: Http2Server): Set<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
  });
  http2.on("sessionError", () => {});
  return sessions;
}

async function listening(
  server: Server | Http2Server,
  address: Address,
  flag: string,
  close: () => Promise<void>,
): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the port is in use" : error.message;
      reject(
        new ListenError(
          `cannot listen on ${address.host}:${address.port}: ${why}; choose another with ${flag}`,
        ),
      );
    });
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return { address: { host: address.host, port }, close };
}
