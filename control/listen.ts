import { createServer as createHttp1, type RequestListener } from "node:http";
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { limitResets, opensWithResets } from "./limit-resets.ts";
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
  http2: AnyHttp2Server,
): Promise<Listening> {
  if (isSecure(http2)) return listenTls(address, flag, http2);
  const timeouts = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: 0,
    connectionsCheckingInterval: 5_000,
  };
  const http1 = createHttp1(timeouts, onRequest);
  // It is handed its sockets and never listens itself, but only then looks after their timeouts.
  http1.emit("listening");
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
      const isHttp2 = preface.startsWith(start) && start.length >= 3;
      if (isHttp2 && opensWithResets(chunk, preface.length)) socket.destroy();
      else (isHttp2 ? http2 : http1).emit("connection", socket);
    });
  });
  return listening(tcp, address, flag, async () => {
    for (const session of sessions) session.close();
    http1.close();
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await new Promise<void>((resolve) => tcp.close(() => resolve()));
    clearTimeout(timer);
  });
}

/** Over TLS both are told apart by ALPN; sockets that never ask for anything are cut as in clear text. */
function listenTls(address: Address, flag: string, http2: Http2SecureServer): Promise<Listening> {
  http2.on("secureConnection", (socket) => {
    if (socket.alpnProtocol !== "h2") socket.setTimeout(idleMs, () => socket.destroy());
  });
  return listenHttp2(address, flag, http2);
}

const isSecure = (http2: AnyHttp2Server): http2 is Http2SecureServer => "setSecureContext" in http2;

/** HTTP/2 alone, for xDS. */
export function listenHttp2(
  address: Address,
  flag: string,
  http2: AnyHttp2Server,
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

/** Files of a TLS server, read. With `ca`, clients may show certificates of that authority. */
export interface Tls {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
}

// What one session may cost is bounded: streams at once, memory, headers, and frames out of order.
const sessionLimits = {
  maxSessionMemory: 32,
  maxHeaderListPairs: 100,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  unknownProtocolTimeout: headersTimeoutMs,
  settings: { maxConcurrentStreams: 250, maxHeaderListSize: 32_768 },
};

export type AnyHttp2Server = Http2Server | Http2SecureServer;

/** An HTTP/2 server within limits; over TLS it also speaks HTTP/1.1 where that is allowed. */
export function createHttp2Server(tls?: Tls, allowHTTP1 = false): AnyHttp2Server {
  if (tls === undefined) return createHttp2(sessionLimits);
  return createSecureServer({
    ...sessionLimits,
    ...tls,
    allowHTTP1,
    minVersion: "TLSv1.2",
    handshakeTimeout: headersTimeoutMs,
    // Whether a client needs a certificate is decided with its request: a token may do instead.
    ...(tls.ca ? { requestCert: true, rejectUnauthorized: false } : {}),
  });
}

/**
 * A session that has no stream for this long is closed, also one that was told
 * to go away after an error and did not. Proxies hold a stream open for ever.
 */
const idleMs = 15_000;
/** Connections that wait to be accepted: a fleet that lost its replica comes back all at once. */
const mostWaiting = 4_096;
/** More connections than any fleet of one replica needs are not accepted. */
const mostConnections = 12_000;

function trackSessions(http2: AnyHttp2Server): Set<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    limitResets(session);
    let streams = 0;
    session.setTimeout(idleMs, () => {
      if (streams === 0) session.destroy();
    });
    session.on("stream", (stream) => {
      streams++;
      stream.on("close", () => streams--);
    });
    session.on("close", () => sessions.delete(session));
    session.on("error", () => session.destroy());
  });
  http2.on("sessionError", () => {});
  return sessions;
}

async function listening(
  server: Server | AnyHttp2Server,
  address: Address,
  flag: string,
  close: () => Promise<void>,
): Promise<Listening> {
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the port is in use" : error.message;
      reject(
        new ListenError(
          `cannot listen on ${address.host}:${address.port}: ${why}; choose another with ${flag}`,
        ),
      );
    });
    server.listen({ port: address.port, host: address.host, backlog: mostWaiting }, resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return { address: { host: address.host, port }, close };
}
