import { randomBytes } from "node:crypto";
import type { Secret } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { errorText } from "../text/error-text.ts";
import { acceptCall, type GrpcCall } from "./call.ts";
import { deltaProtocol, readDelta } from "./delta.ts";
import type { Fleet, ProxyStream } from "./fleet.ts";
import { createFrameReader, type FrameReader } from "./frames.ts";
import { bringsSomething, type Incoming, readNode, resumes } from "./incoming.ts";
import { createPublished, type Published } from "./published.ts";
import {
  createReportSecret,
  createSecretStream,
  encodeSecrets,
  type SecretOf,
  type SecretStream,
} from "./secret.ts";
import type { ScopeOf, SnapshotOf, XdsLog, XdsServer } from "./server.ts";
import type { Snapshot } from "./snapshot.ts";
import { readSotw, sotwProtocol } from "./sotw.ts";
import { grpcCode, StatusError } from "./status.ts";
import { type AdsStream, createAdsStream, type Protocol } from "./stream.ts";
import { namesProblem } from "./subscription.ts";

const service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const methods: Record<string, { protocol: Protocol; read: (message: Buffer) => Incoming }> = {
  [`${service}/StreamAggregatedResources`]: { protocol: sotwProtocol, read: readSotw },
  [`${service}/DeltaAggregatedResources`]: { protocol: deltaProtocol, read: readDelta },
};

const maxRequestBytes = 4 << 20;
/** Streams that get a push before other work may run in between. */
const slice = 500;
/**
 * A proxy that reads nothing, says nothing at first, or does not finish what it began to say for
 * this long is cut off; it comes back when it is well.
 */
const defaultStuckMs = 60_000;

const everything: ScopeOf = () => ["*"];

/** What streams are being sent. */
interface Push {
  number: number;
  snapshotOf: SnapshotOf;
  published: Map<Snapshot, Published>;
}

interface Connection {
  /** Empty before the first request. */
  node: string;
  scope: readonly string[];
  ads: AdsStream;
  /** Absent before the first request, and where there are no secrets. */
  secret?: SecretStream;
  call: GrpcCall;
  /** When the write that has not left this process yet was made; 0: there is none. */
  writingSinceMs: number;
  frames: FrameReader;
  /** What its streams were looked at for last. */
  snapshot: Snapshot | undefined;
  /** There may be something newer than what is being written. */
  behind: boolean;
  written: () => void;
}

export interface XdsOptions {
  /** Who reads nothing for this long is cut off. */
  stuckMs?: number;
  /** What each node shows when it reports; absent where nobody is asked. */
  secretOf?: SecretOf;
  /** Secrets of all nodes, which name files on the proxies' machines. */
  fileSecrets?: readonly Secret[];
}

/** Makes an xDS server that sends nothing until publish is called; the fleet learns what proxies answer. */
export function createXdsServer(
  fleet: Fleet,
  log: XdsLog,
  { stuckMs = defaultStuckMs, secretOf, fileSecrets = [] }: XdsOptions = {},
): XdsServer {
  const ofAll = encodeSecrets(fileSecrets);
  /** Every open call, also of proxies that have not said who they are. */
  const connections = new Set<Connection>();
  /** Proxies that come from another process may still hold its nonces. */
  const processId = randomBytes(4).toString("hex");
  let current: Push | undefined;
  let pushes = 0;
  const sweep = setInterval(() => {
    cutStuck();
    // Secrets are renewed from time to time, each node's at a time of its own.
    if (secretOf) flushAll([...connections], () => true);
  }, stuckMs / 4);
  sweep.unref();

  function cutStuck(): void {
    const sinceMs = performance.now() - stuckMs;
    for (const { call, node, writingSinceMs, frames } of connections) {
      const endedMs = call.endedMs();
      const stuck = writingSinceMs > 0 && writingSinceMs < sinceMs;
      const stays = endedMs !== undefined && endedMs < sinceMs;
      if (stuck || stays) call.stream.close(8);
      else if (node === "" && call.beganMs < sinceMs)
        call.end(grpcCode.deadlineExceeded, `no request within ${stuckMs} ms`);
      else if (frames.partial() && frames.sinceMs() < sinceMs)
        call.end(grpcCode.deadlineExceeded, `a request was not complete within ${stuckMs} ms`);
    }
  }

  function publishedFor({ node, scope }: Connection): Published | undefined {
    if (current === undefined || log.holds?.()) return undefined;
    const { number, published, snapshotOf } = current;
    const snapshot = snapshotOf(scope, node);
    const found = published.get(snapshot) ?? createPublished(number, snapshot, processId);
    published.set(snapshot, found);
    return found;
  }

  /**
   * Writes what a stream has not and wants, as one piece. While a piece has not
   * left, nothing follows it: a slow reader's next piece is made when it can take
   * it, of what is newest then.
   */
  function flush(connection: Connection): void {
    if (connection.node === "" || isOver(connection.call)) return;
    const published = publishedFor(connection);
    if (published === undefined) return;
    connection.snapshot = published.snapshot;
    connection.behind = connection.writingSinceMs > 0;
    if (connection.behind) return;
    const frames: Buffer[] = [];
    connection.ads.flush(published, (frame) => {
      frames.push(frame);
      return true;
    });
    const secret = connection.secret?.next();
    if (secret) frames.push(secret);
    const [first] = frames;
    if (first === undefined) return;
    connection.writingSinceMs = performance.now();
    connection.call.stream.write(
      frames.length === 1 ? first : Buffer.concat(frames),
      connection.written,
    );
  }

  /** Flushes every stream that it is wanted for, with pauses for other work. */
  function flushAll(waiting: Connection[], wanted: () => boolean): void {
    const next = () => {
      if (!wanted()) return;
      for (const connection of waiting.splice(0, slice)) flush(connection);
      if (waiting.length > 0) setImmediate(next);
    };
    next();
  }

  function push(): void {
    const pushed = current;
    // Whoever is sent the same as before needs nothing.
    const waiting = [...connections].filter(
      ({ scope, node, snapshot }) => node !== "" && pushed?.snapshotOf(scope, node) !== snapshot,
    );
    // A newer push has its own walk; this one would only do its work twice.
    flushAll(waiting, () => pushed === current);
  }

  function open(
    call: GrpcCall,
    protocol: Protocol,
    read: (message: Buffer) => Incoming,
    scopeOf: ScopeOf,
  ): void {
    const { stream } = call;
    let node = "";
    let told: ProxyStream | undefined;
    const ads = createAdsStream(protocol, {
      sent: (type, version) => told?.sent(type.name, version),
      acked: (type, version) => told?.acked(type.name, version),
      nacked: (type, version, message) => {
        told?.nacked(type.name, version, message);
        log.nack(node, type.name, version, message);
      },
    });
    const frames = createFrameReader(maxRequestBytes);
    const connection: Connection = {
      node,
      ads,
      frames,
      call,
      scope: [],
      snapshot: undefined,
      writingSinceMs: 0,
      behind: false,
      written: () => {
        connection.writingSinceMs = 0;
        if (connection.behind) flush(connection);
      },
    };
    connections.add(connection);

    /** The first request says who the proxy is; what later ones say of it is not looked at. */
    function enter(incoming: Incoming): void {
      const info = readNode(incoming.node);
      if (typeof info === "string") throw new StatusError(grpcCode.invalidArgument, info);
      const scope = scopeOf(info.id);
      if (scope === undefined)
        throw new StatusError(
          grpcCode.permissionDenied,
          `this principal may not use the node id ${info.id}`,
        );
      node = info.id;
      connection.node = node;
      connection.scope = scope;
      const ofNode = secretOf && createReportSecret(() => secretOf(node, scope));
      if (ofNode || ofAll.length > 0)
        connection.secret = createSecretStream(
          () => [...(ofNode?.() ?? []), ...ofAll],
          (version, message) => log.nack(node, "SDS", version, message),
        );
      told = fleet.connected({ ...info, scope }, resumes(incoming.request));
    }

    /** @returns what is wrong with what a request asks for, if anything is */
    function take({ request, secret }: Incoming): string | undefined {
      if (bringsSomething(request)) log.runs?.(node);
      if (secret === undefined || connection.secret === undefined) return ads.receive(request);
      connection.secret.receive(secret);
      return undefined;
    }

    function receive(message: Buffer): void {
      const incoming = read(message);
      if (told === undefined) enter(incoming);
      const problem = namesProblem(incoming.names) ?? take(incoming);
      if (problem !== undefined) throw new StatusError(grpcCode.resourceExhausted, problem);
    }

    stream.on("data", (chunk: Buffer) => {
      if (isOver(call)) return;
      try {
        for (const message of frames.push(chunk)) receive(message);
        flush(connection);
      } catch (error) {
        const code = error instanceof StatusError ? error.code : grpcCode.invalidArgument;
        call.end(code, errorText(error));
      }
    });
    // The client has said all it wanted to: the call is over, and nothing went wrong.
    stream.on("end", () => {
      if (frames.partial())
        call.end(grpcCode.internal, "the stream ended in the middle of a message");
      else call.end(grpcCode.ok);
    });
    // The peer's resets arrive here as well; the close event does the rest.
    stream.on("error", () => {});
    stream.on("close", () => {
      connections.delete(connection);
      told?.closed();
    });
  }

  return {
    handle(stream, headers, scopeOf = everything) {
      const method = methods[headers[":path"] as string];
      if (method === undefined) return false;
      const call = acceptCall(stream, headers);
      if (call) open(call, method.protocol, method.read, scopeOf);
      return true;
    },
    publish(snapshot) {
      const snapshotOf = typeof snapshot === "function" ? snapshot : () => snapshot;
      current = { number: ++pushes, snapshotOf, published: new Map() };
      push();
    },
    close() {
      clearInterval(sweep);
      for (const { call } of connections) call.end(grpcCode.unavailable, "closing");
    },
  };
}

const isOver = ({ stream, endedMs }: GrpcCall) => stream.destroyed || endedMs() !== undefined;
