import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Headers } from "../../host/header-map.ts";

/** A request as it came to the pods, whole; they wait with the answer until they are told. */
export interface Arrival {
  body: Buffer;
  trailers: Headers;
  res: Http2ServerResponse | ServerResponse;
}

/** Pods of both protocols that answer piece by piece, as the test says. */
export interface Pods {
  ports: { h1: number; h2: number };
  /** The requests that are there, by the name in their header x-case. */
  arrivals: ReadonlyMap<string, Arrival>;
  stop(): Promise<void>;
}

/** Pairs out of node's flat list of names and values. */
function pairs(raw: readonly string[]): Headers {
  return raw.flatMap((key, i): Headers => (i % 2 === 0 ? [[key, raw[i + 1] ?? ""]] : []));
}

/** @param onArrival told of each request once it is there */
export async function startPods(onArrival: () => void): Promise<Pods> {
  const arrivals = new Map<string, Arrival>();
  const sockets = new Set<Socket>();
  const serve = (
    req: Http2ServerRequest | IncomingMessage,
    res: Http2ServerResponse | ServerResponse,
  ) => {
    const pieces: Buffer[] = [];
    req.on("error", () => {});
    res.on("error", () => {});
    req.on("data", (piece: Buffer) => pieces.push(piece));
    req.on("end", () => {
      const body = Buffer.concat(pieces);
      const trailers = pairs(req.rawTrailers);
      arrivals.set(String(req.headers["x-case"]), { body, trailers, res });
      onArrival();
    });
  };
  const h1 = createServer({ keepAliveTimeout: 60_000 }, serve);
  const h2 = createHttp2Server(serve);
  for (const server of [h1, h2])
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
  const ports = { h1: await listen(h1), h2: await listen(h2) };
  return {
    ports,
    arrivals,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([h1, h2].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

async function listen(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}
