import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { anonymous } from "../../control/auth/index.ts";
import {
  createHttp2Server,
  type Listening,
  listenBoth,
  listenHttp2,
} from "../../control/service/ports/listen.ts";
import { createUnread } from "../../control/service/ports/unread.ts";
import { createXdsStreams } from "../../control/service/ports/xds-streams.ts";
import { createFleet, createXdsServer } from "../../control/xds/index.ts";
import { type Certificates, makeCertificates } from "../store/certificates.ts";

// Both ports as the service has them, with deadlines that a test can wait for.
const patience = { headersMs: 600, requestMs: 900, idleMs: 600 };
const wholeMs = 900;
const dripMs = 40;
export const ceiling = { timeout: 20_000, interval: 20 };

let files: Certificates;
let ca: Buffer;
const stop = new AbortController();
const open: Listening[] = [];
const ports: Record<string, number> = {};

/** Answers when the request is whole. */
const answer: RequestListener = (req, res) => {
  req.on("error", () => {});
  req.on("end", () => res.end("whole")).resume();
};

/** Starts them for the tests of a file. */
export function slowService(): void {
  beforeAll(async () => {
    files = makeCertificates([]);
    ca = readFileSync(files.ca);
    const tls = {
      cert: readFileSync(files.cert("server")),
      key: readFileSync(files.key("server")),
    };
    const unread = createUnread(stop.signal, wholeMs);
    const onRequest: RequestListener = (req, res) => {
      unread(res);
      answer(req, res);
    };
    const gate = { guarded: false, authenticate: async () => ({ principal: anonymous }) };
    const xds = createXdsServer(createFleet(), { nack: () => {} }, { stuckMs: wholeMs });
    stop.signal.addEventListener("abort", () => xds.close());
    const at = { host: "127.0.0.1", port: 0 };
    for (const [wire, secure] of [
      ["in clear text", undefined],
      ["over TLS", tls],
    ] as const) {
      const api = createHttp2Server(secure, true, patience);
      api.on("request", onRequest as never);
      const streams = createHttp2Server(secure, false, patience);
      streams.on(
        "stream",
        createXdsStreams(gate, xds, () => {}),
      );
      const listening = [
        await listenBoth(at, "--listen", onRequest, api, patience),
        await listenHttp2(at, "--xds", streams, patience),
      ];
      open.push(...listening);
      ports[`the API ${wire}`] = listening[0]?.address.port ?? 0;
      ports[`xDS ${wire}`] = listening[1]?.address.port ?? 0;
    }
  });
  afterAll(async () => {
    stop.abort(new Error("the end"));
    await Promise.all(open.map((each) => each.close()));
    files?.remove();
  });
}

export const portOf = (where: string) => ports[where] ?? 0;

/** What a client says first to open a TLS connection. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write: (chunk: Buffer) => resolve(chunk),
    });
    connectTls({ socket, servername: "localhost", ca, ALPNProtocols: ["h2"] }).on(
      "error",
      () => {},
    );
  });
}

/** An open connection: the wire below it, and what is written to. */
export function connection(where: string, protocol: "h2" | "http/1.1"): Socket {
  const tcp = connectTcp(portOf(where), "127.0.0.1");
  tcp.on("error", () => {});
  const socket = where.endsWith("TLS")
    ? connectTls({ socket: tcp, servername: "localhost", ca, ALPNProtocols: [protocol] })
    : tcp;
  socket.on("error", () => {}).resume();
  onTestFinished(() => void tcp.destroy());
  return socket;
}

/** Sends what there is, and then a byte at a time until the connection is gone. @returns how long that took, in ms */
export async function drip(socket: Socket, begin: Buffer, next: () => Buffer): Promise<number> {
  const startMs = performance.now();
  let goneMs = 0;
  let dripped = 0;
  socket.once("close", () => {
    goneMs = performance.now() - startMs;
  });
  socket.write(begin);
  const timer = setInterval(() => {
    if (socket.destroyed) return;
    socket.write(next());
    dripped++;
  }, dripMs);
  onTestFinished(() => clearInterval(timer));
  await expect.poll(() => goneMs, ceiling).toBeGreaterThan(0);
  clearInterval(timer);
  expect(dripped).toBeGreaterThan(3);
  return goneMs;
}

/** Others are answered while it goes on: a request over HTTP/2 that is whole. */
export async function served(where: string): Promise<void> {
  const session = wellBehaved(where);
  const stream = session.request({ ":path": "/", "content-type": "application/grpc" });
  const status = new Promise((resolve) => stream.once("response", (h) => resolve(h[":status"])));
  stream.resume();
  expect(await status).toBe(where.startsWith("xDS") ? 404 : 200);
}

/** A client of one of the ports that does as a client should. */
export function wellBehaved(where: string) {
  const tls = where.endsWith("TLS");
  const url = `${tls ? "https" : "http"}://127.0.0.1:${portOf(where)}`;
  const session = connectHttp2(url, tls ? { ca } : {});
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  return session;
}
