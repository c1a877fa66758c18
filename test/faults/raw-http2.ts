import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** What RFC 9113, section 6 calls the kinds of frames. */
export const kind = { data: 0, headers: 1, rstStream: 3, settings: 4, ping: 6, goaway: 7 } as const;

/** One frame (RFC 9113, section 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const literal = (name: string, value: string) =>
  Buffer.concat([0, name, value].map((part) => (part === 0 ? Buffer.from([0]) : text(`${part}`))));
const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);

/** The frames of one request: headers, and a body that stays open when none is given. */
export function request(stream: number, fields: Record<string, string>, body?: Buffer): Buffer {
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)));
  const head = frame(kind.headers, 4, stream, block);
  return body === undefined ? head : Buffer.concat([head, frame(kind.data, 1, stream, body)]);
}

export const reset = (stream: number) =>
  frame(kind.rstStream, 0, stream, Buffer.from([0, 0, 0, 8]));

/** A client that writes its own frames, over a socket of TCP or TLS. */
export interface RawClient {
  socket: Socket;
  /** The one below, which is the same where there is no TLS. */
  tcp: Socket;
  /** Ids of the streams that were answered with headers so far. */
  answered: Set<number>;
  /** Ids of the streams that the server ended or reset. */
  ended: Set<number>;
  /** Resolves when the server has said hello: what follows reaches a session, and is not read before there is one. */
  greeted: Promise<void>;
  /** Resolves when the connection is gone. */
  closed: Promise<void>;
  isClosed(): boolean;
}

/** Says hello in HTTP/2. @param ca over TLS, to servers of this authority */
export function rawClient(port: number, ca?: Buffer): RawClient {
  const tcp = connectTcp(port, "127.0.0.1");
  const socket = ca
    ? connectTls({ socket: tcp, servername: "localhost", ca, ALPNProtocols: ["h2"] })
    : tcp;
  tcp.on("error", () => {});
  const answered = new Set<number>();
  const ended = new Set<number>();
  let gone = false;
  let greet = () => {};
  const greeted = new Promise<void>((resolve) => {
    greet = resolve;
  });
  let rest: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const stream = rest.readUInt32BE(5);
      if (rest[3] === kind.settings) greet();
      if (rest[3] === kind.headers) answered.add(stream);
      if (rest[3] === kind.rstStream || ((rest[4] ?? 0) & 1 && (rest[3] ?? 9) < 2))
        ended.add(stream);
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
    }
  });
  const closed = new Promise<void>((resolve) =>
    socket.on("close", () => {
      gone = true;
      resolve();
    }),
  );
  socket.write(preface);
  socket.write(frame(kind.settings, 0, 0, Buffer.alloc(0)));
  return { socket, tcp, greeted, answered, ended, closed, isClosed: () => gone };
}
