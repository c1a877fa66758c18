import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { deltaProtocol, readDelta } from "./delta.ts";
import type { Fleet } from "./fleet.ts";
import { createFrameReader } from "./frames.ts";
import { type Incoming, readNode } from "./incoming.ts";
import { createPublished, type Published } from "./published.ts";
import type { Snapshot } from "./snapshot.ts";
import { readSotw, sotwProtocol } from "./sotw.ts";
import { type AdsStream, createAdsStream, type Protocol } from "./stream.ts";
import { namesProblem } from "./subscription.ts";

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const methods: Record<string, { protocol: Protocol; read: (message: Uint8Array) => Incoming }> = {
  [`${service}/StreamAggregatedResources`]: { protocol: sotwProtocol, read: readSotw },
  [`${service}/DeltaAggregatedResources`]: { protocol: deltaProtocol, read: readDelta },
};

const mostRequestBytes = 4 << 20;
/** Streams that get a push before other work may run in between. */
const slice = 500;
/** A proxy that reads nothing for this long is cut off; it comes back when it is well. */
const stuckMs = 60_000;

const grpcInvalidArgument = 3;
const grpcResourceExhausted = 8;
const grpcUnavailable = 14;

/** What the xDS server tells whoever runs it. */
export interface XdsLog {
  nack(node: string, type: string, version: string, message: string): void;
}

/** The xDS server, to be mounted on an HTTP/2 server. */
export interface XdsServer {
  /** Takes the stream if it is for ADS; false leaves it to others. */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
  /**
   * Sends a snapshot to every stream that has not what it wants of it.
   * @param only to the streams of this node; the others keep what is published
   */
  publish(snapshot: Snapshot, only?: string): void;
  /** The snapshot published last to all. */
  current(): Snapshot | undefined;
  /** Ends all streams; proxies keep what they have and reconnect. */
  close(): void;
}

interface Connection {
  /** Empty before the first request. */
  node: string;
  ads: AdsStream;
  stream: ServerHttp2Stream;
  blockedSince: number;
}

export function createXdsServer(fleet: Fleet, log: XdsLog): XdsServer {
  const connections = new Set<Connection>();
  let published: Published | undefined;
  /** What one node is sent before the others. */
  let trial: { node: string; published: Published } | undefined;
  let pushes = 0;
  const sweep = setInterval(cutStuck, stuckMs / 4);
  sweep.unref();

  function cutStuck(): void {
    for (const { stream, blockedSince } of connections)
      if (blockedSince > 0 && Date.now() - blockedSince > stuckMs) stream.close(8);
  }

  const publishedTo = (node: string) => (trial?.node === node ? trial.published : published);

  function flush(connection: Connection): void {
    const due = publishedTo(connection.node);
    if (due === undefined || connection.blockedSince > 0 || connection.stream.destroyed) return;
    connection.ads.flush(due, (frame) => {
      const room = connection.stream.write(frame);
      if (!room) connection.blockedSince = Date.now();
      return room;
    });
  }

  function push(): void {
    const pushed = published;
    const waiting = [...connections];
    const next = () => {
      // A newer snapshot has its own push; this one would only do its work twice.
      if (pushed !== published) return;
      for (const connection of waiting.splice(0, slice)) flush(connection);
      if (waiting.length > 0) setImmediate(next);
    };
    next();
  }

  function open(
    stream: ServerHttp2Stream,
    protocol: Protocol,
    read: (message: Uint8Array) => Incoming,
  ): void {
    let node = "";
    let leave: (() => void) | undefined;
    const ads = createAdsStream(protocol, {
      sent: (type, version) => fleet.sent(node, type.name, version),
      acked: (type, version) => fleet.acked(node, type.name, version),
      nacked: (type, version, message) => {
        fleet.nacked(node, type.name, version, message);
        log.nack(node, type.name, version, message);
      },
    });
    const connection: Connection = { node, ads, stream, blockedSince: 0 };
    const frames = createFrameReader(mostRequestBytes);

    function receive(message: Buffer): void {
      const incoming = read(message);
      if (leave === undefined) {
        const info = readNode(incoming.node);
        if (typeof info === "string") {
          fail(stream, grpcInvalidArgument, info);
          return;
        }
        node = info.id;
        connection.node = node;
        leave = fleet.connected(info);
        connections.add(connection);
      }
      const problem = namesProblem(incoming.names);
      if (problem !== undefined) fail(stream, grpcResourceExhausted, problem);
      else if (incoming.request) ads.receive(incoming.request, publishedTo(node));
    }

    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () =>
      stream.sendTrailers({ "grpc-status": String(grpcUnavailable), "grpc-message": "closing" }),
    );
    stream.on("data", (chunk: Buffer) => {
      try {
        for (const message of frames.push(chunk)) receive(message);
        flush(connection);
      } catch (error) {
        fail(stream, grpcInvalidArgument, error instanceof Error ? error.message : String(error));
      }
    });
    stream.on("drain", () => {
      connection.blockedSince = 0;
      flush(connection);
    });
    stream.on("end", () => stream.end());
    // The peer's resets arrive here as well; the close event does the rest.
    stream.on("error", () => {});
    stream.on("close", () => {
      connections.delete(connection);
      leave?.();
    });
  }

  return {
    handle(stream, headers) {
      const method = methods[headers[":path"] as string];
      if (method === undefined) return false;
      open(stream, method.protocol, method.read);
      return true;
    },
    publish(snapshot, only) {
      const next = createPublished(++pushes, snapshot);
      if (only !== undefined) {
        trial = { node: only, published: next };
        for (const connection of connections) if (connection.node === only) flush(connection);
        return;
      }
      trial = undefined;
      published = next;
      push();
    },
    current: () => published?.snapshot,
    close() {
      clearInterval(sweep);
      for (const { stream } of connections) stream.end();
    },
  };
}

/** Ends a stream with a gRPC status. */
function fail(stream: ServerHttp2Stream, status: number, message: string): void {
  if (stream.destroyed || stream.writableEnded) return;
  stream.removeAllListeners("wantTrailers");
  stream.on("wantTrailers", () =>
    stream.sendTrailers({
      "grpc-status": String(status),
      "grpc-message": encodeURIComponent(message),
    }),
  );
  stream.end();
}
