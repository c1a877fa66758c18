import { Buffer } from "node:buffer";
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Headers } from "../../host/header-map.ts";
import { decodePairs } from "../../host/proxy.ts";

/** Callbacks of a filter, by their number in ./recorder. */
export const kinds = [
  "request headers",
  "request body",
  "request trailers",
  "response headers",
  "response body",
  "response trailers",
  "end",
  "tick",
] as const;
export type Kind = (typeof kinds)[number];

/** What one of the two recorders beside a filter was given. */
export interface Seen {
  /** In front of the filter, where the client is, or behind it, where the pods are. */
  side: "front" | "behind";
  listener: string;
  /** Thread of Envoy; the main one has no streams, but ticks. */
  thread: number;
  /** Number of the stream, the same for the recorders and the filter between them. */
  context: number;
  kind: Kind;
  /** Envoy's end_of_stream. */
  last: boolean;
  /** Envoy's clock. */
  timeNs: bigint;
  /** Of headers and trailers. */
  headers: Headers;
  /** Of bodies. */
  bytes: Buffer;
}

/** The end of a line on which Envoy tells what it does. */
export interface Watch {
  port: number;
  /** All that was seen, of each thread in Envoy's order. */
  seen: Seen[];
  /** What the filter at a listener reported last, and how often it did. */
  reports: Map<string, { text: string; count: number }>;
  /** Waits until what was seen has it. @throws Error after a while, with what was waited for */
  until<T>(what: string, found: () => T | undefined): Promise<T>;
  /** Has those who wait look again: something happened elsewhere. */
  look(): void;
  stop(): Promise<void>;
}

const patienceMs = 30_000;

/** Listens for what the recorders tell. */
export async function startWatch(): Promise<Watch> {
  const seen: Seen[] = [];
  const reports: Watch["reports"] = new Map();
  const waiting = new Set<() => void>();
  const lookAgain = () => {
    for (const look of waiting) look();
  };
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  let threads = 0;
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    const thread = threads++;
    listen(session, (path, from, message) => {
      if (path.startsWith("/weir."))
        reports.set(from, {
          text: message.toString(),
          count: (reports.get(from)?.count ?? 0) + 1,
        });
      else seen.push({ thread, ...decode(path, message) });
      lookAgain();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    reports,
    until: (what, found) =>
      new Promise((done, fail) => {
        const look = () => {
          const it = found();
          if (it === undefined) return;
          waiting.delete(look);
          clearTimeout(timer);
          done(it);
        };
        const timer = setTimeout(() => {
          waiting.delete(look);
          const told = seen.slice(-6).map(({ side, kind, last }) => `${side} ${kind} ${last}`);
          fail(
            new Error(`not seen within ${patienceMs} ms: ${what}; last were ${told.join(", ")}`),
          );
        }, patienceMs);
        waiting.add(look);
        look();
      }),
    look: lookAgain,
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const session of sessions) session.destroy();
      }),
  };
}

type Tell = (path: string, authority: string, message: Buffer) => void;

/** Each thread of Envoy opens its calls in order, on one connection; they may come to their ends in another. */
function listen(session: ServerHttp2Session, tell: Tell): void {
  const whole = new Map<number, () => void>();
  let next = 1;
  session.on("stream", (stream: ServerHttp2Stream, headers) => {
    const pieces: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => {
      const { ":path": path = "", ":authority": authority = "" } = headers;
      whole.set(stream.id ?? 0, () => tell(path, authority, Buffer.concat(pieces)));
      for (let each = whole.get(next); each; each = whole.get(next)) {
        whole.delete(next);
        next += 2;
        each();
      }
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end("{}");
    });
  });
}

function decode(path: string, message: Buffer): Omit<Seen, "thread"> {
  const [, side, listener = ""] = path.split("/");
  const kind = kinds[message.readUInt8(12)] as Kind;
  const payload = message.subarray(14);
  return {
    side: side as Seen["side"],
    listener,
    context: message.readUInt32LE(8),
    kind,
    last: message.readUInt8(13) === 1,
    timeNs: message.readBigUInt64LE(0),
    headers: /headers|trailers/.test(kind) ? decodePairs(payload) : [],
    bytes: kind.endsWith("body") ? payload : Buffer.alloc(0),
  };
}
