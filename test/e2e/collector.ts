import { createServer, type Server } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";

/** A collector of OTLP that keeps what arrives as it is. */
export interface Collector {
  port: number;
  /** Of each export: its path, and its body, in which texts and ids stand as such. */
  exports: { path: string; body: Buffer }[];
  close(): Promise<void>;
}

export async function startCollector(protocol: "http" | "grpc"): Promise<Collector> {
  const exports: Collector["exports"] = [];
  const server = protocol === "http" ? overHttp(exports) : overGrpc(exports);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    exports,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function overHttp(exports: Collector["exports"]): Server {
  return createServer((req, res) => {
    const pieces: Buffer[] = [];
    req.on("data", (piece: Buffer) => pieces.push(piece));
    req.on("end", () => {
      exports.push({ path: req.url ?? "", body: Buffer.concat(pieces) });
      res.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
}

function overGrpc(exports: Collector["exports"]): Http2Server {
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => {
      exports.push({ path: headers[":path"] ?? "", body: Buffer.concat(pieces) });
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      // A message without a field: all spans were taken.
      stream.end(Buffer.alloc(5));
    });
  });
  return server;
}
