import { createServer as createHttp1, type RequestListener } from "node:http";
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
} from "node:http2";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { isLoopback } from "../../auth/index.ts";
import type { Address } from "../../xds/index.ts";
import { opensWithResets } from "./limit-resets.ts";
import { idleMs, trackSessions } from "./sessions.ts";

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

/** Without authentication the service listens only on loopback addresses. @throws ListenError */
export function refuseToBeOpen({ listen, xds }: Record<"listen" | "xds", Address>): void {
  const open = Object.entries({ listen, xds }).find(([, { host }]) => !isLoopback(host));
  if (open)
    throw new ListenError(
      `--${open[0]} ${open[1].host} is not a loopback address: listening there needs authentication by --access or by --token-file (or WEIR_TOKEN)`,
    );
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** More than calls under way get: their last answers are to arrive. */
const graceMs = 2_000;

/** How long a client may take, however many bytes it sends meanwhile. */
export interface Patience {
  /** Over the handshake of TLS, and over the headers of a request. */
  headersMs: number;
  /** Over a whole request over HTTP/1.1; those over HTTP/2 are cut where they are answered. */
  requestMs: number;
  /** Until it answers a ping, and until it opens a stream over HTTP/2 where it has none. */
  idleMs: number;
}
const usual: Patience = { headersMs: 15_000, requestMs: 60_000, idleMs };

const timeouts = ({ headersMs, requestMs }: Patience) => ({
  headersTimeout: headersMs,
  requestTimeout: requestMs,
  // How often Node looks for those that took longer; by itself every half minute.
  connectionsCheckingInterval: headersMs / 3,
});

/**
 * HTTP/1.1 and HTTP/2 in clear text on one port: a connection that opens with
 * the preface of RFC 9113, section 3.4 is HTTP/2.
 */
export function listenBoth(
  address: Address,
  flag: string,
  onRequest: RequestListener,
  http2: AnyHttp2Server,
  patience: Patience = usual,
): Promise<Listening> {
  if (isSecure(http2)) return listenTls(address, flag, http2, patience);
  const http1 = createHttp1(timeouts(patience), onRequest);
  // It is handed its sockets and never listens itself, but only then looks after their timeouts.
  http1.emit("listening");
  const sessions = trackSessions(http2, patience.idleMs);
  const sockets = new Set<Socket>();
  const tcp = createTcp((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(patience.headersMs, () => socket.destroy());
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

/**
 * Over TLS both are told apart by ALPN. Sockets that never ask for anything are cut as in clear
 * text; Node then looks after those that ask slowly, and after those that have been answered.
 */
function listenTls(
  address: Address,
  flag: string,
  http2: Http2SecureServer,
  patience: Patience,
): Promise<Listening> {
  Object.assign(http2, timeouts(patience));
  http2.on("secureConnection", (socket) => {
    if (socket.alpnProtocol === "h2") return;
    const silent = setTimeout(() => socket.destroy(), patience.headersMs);
    socket.once("data", () => clearTimeout(silent));
    socket.once("close", () => clearTimeout(silent));
  });
  return listenHttp2(address, flag, http2, patience);
}

const isSecure = (http2: AnyHttp2Server): http2 is Http2SecureServer => "setSecureContext" in http2;

/** HTTP/2 alone, for xDS. */
export function listenHttp2(
  address: Address,
  flag: string,
  http2: AnyHttp2Server,
  patience: Patience = usual,
): Promise<Listening> {
  const sessions = trackSessions(http2, patience.idleMs);
  // Not all of them become sessions: some never finish a handshake, some speak HTTP/1.1.
  const sockets = new Set<Socket>();
  http2.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  return listening(http2, address, flag, async () => {
    const closed = new Promise<void>((resolve) => http2.close(() => resolve()));
    for (const session of sessions) session.close();
    const timer = setTimeout(() => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
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
  settings: { maxConcurrentStreams: 250, maxHeaderListSize: 32_768 },
};

export type AnyHttp2Server = Http2Server | Http2SecureServer;

/** An HTTP/2 server within limits; over TLS it also speaks HTTP/1.1 where that is allowed. */
export function createHttp2Server(
  tls?: Tls,
  allowHTTP1 = false,
  { headersMs }: Patience = usual,
): AnyHttp2Server {
  const limits = { ...sessionLimits, unknownProtocolTimeout: headersMs };
  if (tls === undefined) return createHttp2(limits);
  return createSecureServer({
    ...limits,
    ...tls,
    allowHTTP1,
    minVersion: "TLSv1.2",
    handshakeTimeout: headersMs,
    // Whether a client needs a certificate is decided with its request: a token may do instead.
    ...(tls.ca ? { requestCert: true, rejectUnauthorized: false } : {}),
  });
}

/** Connections that wait to be accepted: a fleet that lost its replica comes back all at once. */
const maxWaiting = 4_096;
/** More connections than any fleet of one replica needs are not accepted. */
const connectionLimit = 12_000;

async function listening(
  server: Server | AnyHttp2Server,
  address: Address,
  flag: string,
  close: () => Promise<void>,
): Promise<Listening> {
  server.maxConnections = connectionLimit;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "the port is in use" : error.message;
      reject(
        new ListenError(
          `cannot listen on ${address.host}:${address.port}: ${why}; choose another address with ${flag}`,
        ),
      );
    });
    server.listen({ port: address.port, host: address.host, backlog: maxWaiting }, resolve);
  });
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
  return { address: { host: address.host, port }, close };
}
