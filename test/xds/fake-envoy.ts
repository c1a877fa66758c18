import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DeltaDiscoveryRequestSchema as DeltaRequest,
  type DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
  DiscoveryRequestSchema as SotwRequest,
} from "../../control/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { createFrameReader, frame } from "../../control/xds/frames.ts";
import {
  createFleet,
  createXdsServer,
  type Fleet,
  type XdsServer,
} from "../../control/xds/index.ts";

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";

/** An xDS server on a port of its own. */
export interface TestServer {
  xds: XdsServer;
  fleet: Fleet;
  port: number;
  nacks: string[];
  /** Connections that are open. */
  connections(): number;
  /** Cuts every connection. */
  drop(): void;
  close(): Promise<void>;
}

/** @param stuckMs a stream that reads nothing for so long is cut off */
export async function startXds(stuckMs?: number): Promise<TestServer> {
  const fleet = createFleet();
  const nacks: string[] = [];
  const nack = (node: string, type: string, version: string, message: string) =>
    void nacks.push(`${node} ${type} ${version} ${message}`);
  const xds = createXdsServer(fleet, { nack }, stuckMs === undefined ? {} : { stuckMs });
  const http2: Http2Server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  http2.on("stream", (stream, headers) => {
    if (!xds.handle(stream, headers)) stream.respond({ ":status": 404 }, { endStream: true });
  });
  await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
  return {
    xds,
    fleet,
    nacks,
    connections: () => sessions.size,
    drop: () => {
      for (const session of sessions) session.destroy();
    },
    port: (http2.address() as AddressInfo).port,
    async close() {
      xds.close();
      await new Promise<void>((resolve) => http2.close(() => resolve()));
    },
  };
}

/** A stream of a proxy that speaks real gRPC bytes and does only what it is told. */
export interface FakeEnvoy<Request, Response> {
  send(request: Request): void;
  /** The next response; rejects when none comes soon. */
  next(timeoutMs?: number): Promise<Response>;
  /** Resolves when nothing comes for a moment. */
  silence(): Promise<void>;
  /** gRPC status the server ended the stream with. */
  ended: Promise<{ status: string; message: string }>;
  stream: ClientHttp2Stream;
  close(): void;
}

/** How the proxy proves who it is. */
export interface Proof {
  headers?: Record<string, string>;
  tls?: { ca: Buffer; cert?: Buffer; key?: Buffer };
}

function open<Request, Response>(
  port: number,
  method: string,
  encode: (request: Request) => Uint8Array,
  decode: (bytes: Uint8Array) => Response,
  { headers = {}, tls }: Proof,
): FakeEnvoy<Request, Response> {
  const session: ClientHttp2Session = connect(
    `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    tls ?? {},
  );
  session.on("error", () => {});
  const stream = session.request({
    ":method": "POST",
    ":path": `${service}/${method}`,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  const frames = createFrameReader(64 << 20);
  const received: Response[] = [];
  const waiting: ((response: Response) => void)[] = [];
  stream.on("data", (chunk: Buffer) => {
    for (const message of frames.push(chunk)) {
      const response = decode(message);
      const waiter = waiting.shift();
      if (waiter) waiter(response);
      else received.push(response);
    }
  });
  stream.on("error", () => {});
  const ended = new Promise<{ status: string; message: string }>((resolve) => {
    stream.on("trailers", (trailers) =>
      resolve({
        status: String(trailers["grpc-status"]),
        message: decodeURIComponent(String(trailers["grpc-message"] ?? "")),
      }),
    );
  });
  return {
    send: (request) => void stream.write(frame(encode(request))),
    next(timeoutMs = 10_000) {
      const ready = received.shift();
      if (ready !== undefined) return Promise.resolve(ready);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("no response came")), timeoutMs);
        waiting.push((response) => {
          clearTimeout(timer);
          resolve(response);
        });
      });
    },
    async silence() {
      // The server answers a ping behind all that it wrote before: twice, for what it does a turn later.
      if (session.connecting) await once(session, "connect");
      for (let round = 0; round < 2; round++)
        await new Promise<void>((resolve, reject) => {
          session.ping((error) => (error ? reject(error) : setImmediate(resolve)));
        });
      if (received.length > 0)
        throw new Error(
          `unexpected response: ${JSON.stringify(received, (_, value) => (typeof value === "bigint" ? String(value) : value))}`,
        );
    },
    ended,
    stream,
    close: () => session.destroy(),
  };
}

export function sotw(
  port: number,
  proof: Proof = {},
): FakeEnvoy<MessageInitShape<typeof DiscoveryRequestSchema>, DiscoveryResponse> {
  return open(
    port,
    "StreamAggregatedResources",
    (request) => toBinary(SotwRequest, create(SotwRequest, request)),
    (bytes) => fromBinary(DiscoveryResponseSchema, bytes),
    proof,
  );
}

export function delta(
  port: number,
  proof: Proof = {},
): FakeEnvoy<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, DeltaDiscoveryResponse> {
  return open(
    port,
    "DeltaAggregatedResources",
    (request) => toBinary(DeltaRequest, create(DeltaRequest, request)),
    (bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
    proof,
  );
}
