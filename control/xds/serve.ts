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
const methods: Record<string, { protocol: Protocol; read: (message: Buffer) => Incoming }> = {
  [`${service}/StreamAggregatedResources`]: { protocol: sotwProtocol, read: readSotw },
  [`${service}/DeltaAggregatedResources`]: { protocol: deltaProtocol, read: readDelta },
};

const mostRequestBytes = 4 << 20;
/** Streams that get a push before other work may run in between. */
const slice = 500;
/** A proxy that reads nothing for this long is cut off; it comes back when it is well. */
const defaultStuckMs = 60_000;

const grpcInvalidArgument = 3;
const grpcPermissionDenied = 7;
const grpcResourceExhausted = 8;
const grpcUnavailable = 14;

/** What the xDS server tells whoever runs it. */
export interface XdsLog {
  nack(node: string, type: string, version: string, message: string): void;
}

/** The xDS server, to be mounted on an HTTP/2 server. */
export interface XdsServer {
  /**
   * Takes the stream if it is for ADS; false leaves it to others.
   * @param scope namespaces whose routes the node may have; undefined: it may not speak for this node
   */
  handle(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, scope?: ScopeOf): boolean;
  /**
   * Sends to every stream what it has not and wants, of the snapshot for its scope.
   * @param snapshot for all of them, or asked for once for each scope that a stream has
   * @param only to the streams of this node; the others keep what was published to all
   */
  publish(snapshot: Snapshot | SnapshotOf, only?: string): void;
  /** What was published last to all. */
  current(): SnapshotOf | undefined;
  /** Ends all streams; proxies keep what they have and reconnect. */
  close(): void;
}

/** The snapshot for proxies with these namespaces. */
export type SnapshotOf = (scope: readonly string[]) => Snapshot;

/** Namespaces that the peer of a stream may have for a node. */
export type ScopeOf = (node: string) => readonly string[] | undefined;

const everything: ScopeOf = () => ["*"];

/** What streams are being sent, by their scope. */
interface Push {
  number: number;
  snapshotOf: SnapshotOf;
  published: Map<string, Published>;
}

interface Connection {
  /** Empty before the first request. */
  node: string;
  scope: readonly string[];
  ads: AdsStream;
  stream: ServerHttp2Stream;
  /** When the write that has not left this process yet was made; 0: there is none. */
  writingSinceMs: number;
  /** There may be something newer than what is being written. */
  behind: boolean;
  written: () => void;
}

export function createXdsServer(
  fleet: Fleet,
  log: XdsLog,
  stuckMs: number = defaultStuckMs,
): XdsServer {
  const connections = new Set<Connection>();
  let toAll: Push | undefined;
  /** What one node is sent before the others. */
  let trial: (Push & { node: string }) | undefined;
  let pushes = 0;
  const sweep = setInterval(cutStuck, stuckMs / 4);
  sweep.unref();

  function cutStuck(): void {
    for (const { stream, writingSinceMs } of connections)
      if (writingSinceMs > 0 && performance.now() - writingSinceMs > stuckMs) stream.close(8);
  }

  function publishedFor({ node, scope }: Connection): Published | undefined {
    const push = trial?.node === node ? trial : toAll;
    if (push === undefined) return undefined;
    const key = scope.join(",");
    const found = push.published.get(key) ?? createPublished(push.number, push.snapshotOf(scope));
    push.published.set(key, found);
    return found;
  }

  /**
   * Writes what a stream has not and wants, as one piece. While a piece has not
   * left, nothing follows it: a slow reader's next piece is made when it can take
   * it, of what is newest then.
   */
  function flush(connection: Connection): void {
    const current = publishedFor(connection);
    if (current === undefined || connection.stream.destroyed) return;
    connection.behind = connection.writingSinceMs > 0;
    if (connection.behind) return;
    const frames: Buffer[] = [];
    connection.ads.flush(current, (frame) => {
      frames.push(frame);
      return true;
    });
    const [first] = frames;
    if (first === undefined) return;
    connection.writingSinceMs = performance.now();
    connection.stream.write(
      frames.length === 1 ? first : Buffer.concat(frames),
      connection.written,
    );
  }

  function push(): void {
    const pushed = toAll;
    const waiting = [...connections];
    const next = () => {
      // A newer snapshot has its own push; this one would only do its work twice.
      if (pushed !== toAll) return;
      for (const connection of waiting.splice(0, slice)) flush(connection);
      if (waiting.length > 0) setImmediate(next);
    };
    next();
  }

  function open(
    stream: ServerHttp2Stream,
    protocol: Protocol,
    read: (message: Buffer) => Incoming,
    scopeOf: ScopeOf,
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
    const connection: Connection = {
      node,
      ads,
      stream,
      scope: [],
      writingSinceMs: 0,
      behind: false,
      written: () => {
        connection.writingSinceMs = 0;
        if (connection.behind) flush(connection);
      },
    };
    const frames = createFrameReader(mostRequestBytes);

    function receive(message: Buffer): void {
      const incoming = read(message);
      if (leave === undefined) {
        const info = readNode(incoming.node);
        if (typeof info === "string") {
          fail(stream, grpcInvalidArgument, info);
          return;
        }
        const scope = scopeOf(info.id);
        if (scope === undefined) {
          fail(stream, grpcPermissionDenied, `not allowed to speak for the node ${info.id}`);
          return;
        }
        node = info.id;
        connection.node = node;
        connection.scope = scope;
        leave = fleet.connected({ ...info, scope });
        connections.add(connection);
      }
      const problem = namesProblem(incoming.names);
      if (problem !== undefined) fail(stream, grpcResourceExhausted, problem);
      else if (incoming.request) ads.receive(incoming.request, publishedFor(connection));
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
    stream.on("end", () => stream.end());
    // The peer's resets arrive here as well; the close event does the rest.
    stream.on("error", () => {});
    stream.on("close", () => {
      connections.delete(connection);
      leave?.();
    });
  }

  return {
    handle(stream, headers, scopeOf = everything) {
      const method = methods[headers[":path"] as string];
      if (method === undefined) return false;
      open(stream, method.protocol, method.read, scopeOf);
      return true;
    },
    publish(snapshot, only) {
      const snapshotOf = typeof snapshot === "function" ? snapshot : () => snapshot;
      const next = { number: ++pushes, snapshotOf, published: new Map() };
      if (only !== undefined) {
        trial = { ...next, node: only };
        for (const connection of connections) if (connection.node === only) flush(connection);
        return;
      }
      trial = undefined;
      toAll = next;
      push();
    },
    current: () => toAll?.snapshotOf,
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
