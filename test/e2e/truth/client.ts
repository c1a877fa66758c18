import { Buffer } from "node:buffer";
import { Agent, request as requestHttp1 } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import type { Headers } from "../../host/header-map.ts";

/** What a client asks, without its body. */
export interface Head {
  protocol: "h1" | "h2";
  method: string;
  path: string;
  /** Of the request, :authority left out. */
  headers: Headers;
  authority: string;
  /** Whether trailers will end the body. */
  trails: boolean;
}

/** What came back, to the byte. */
export interface Got {
  status: number;
  body: Buffer;
  trailers: Record<string, string | string[] | undefined>;
}

/** A request that is being sent. */
export interface Sending {
  write(piece: Buffer): void;
  /** Ends the body, with a last piece, or with trailers behind it. */
  end(piece: Buffer | undefined, trailers: Headers): void;
  /** The client goes away. */
  leave(): void;
  /** The whole answer; rejects where there is none. */
  got: Promise<Got>;
}

export interface Client {
  send(head: Head): Sending;
  stop(): void;
}

/** Repeated names as lists, as node wants them. */
function grouped(headers: Headers): Record<string, string | string[]> {
  const all: Record<string, string[]> = {};
  for (const [key, value] of headers) all[key] = [...(all[key] ?? []), value];
  return Object.fromEntries(
    Object.entries(all).map(([key, values]) => [key, values.length > 1 ? values : values.join()]),
  );
}

/** A client of one listener, in both protocols. */
export function startClient(port: number): Client {
  const agent = new Agent({ keepAlive: true });
  let session: ClientHttp2Session | undefined;
  const sendHttp2 = (
    { method, path, headers, authority, trails }: Head,
    bodiless: boolean,
  ): Sending => {
    session ??= connect(`http://127.0.0.1:${port}`).on("error", () => {});
    const stream = session.request(
      {
        ":method": method,
        ":path": path,
        ":authority": authority,
        ":scheme": "http",
        ...grouped(headers),
      },
      { endStream: bodiless, waitForTrailers: trails },
    );
    let trailing: Headers = [];
    stream.on("wantTrailers", () => stream.sendTrailers(grouped(trailing)));
    const pieces: Buffer[] = [];
    let status = 0;
    let trailers: Got["trailers"] = {};
    stream.on("response", (answered) => {
      status = Number(answered[":status"]);
    });
    stream.on("trailers", (told) => {
      trailers = { ...told };
    });
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    return {
      write: (piece) => void stream.write(piece),
      end(piece, sent) {
        trailing = sent;
        if (stream.writable) stream.end(piece);
      },
      leave: () => stream.close(8),
      got: new Promise((done, fail) => {
        stream.on("error", fail);
        stream.on("end", () => done({ status, body: Buffer.concat(pieces), trailers }));
      }),
    };
  };
  const sendHttp1 = ({ method, path, headers, authority }: Head, bodiless: boolean): Sending => {
    // Node frames the bodies of some methods only.
    const isFramed = bodiless || headers.some(([key]) => key === "content-length");
    const framing = isFramed ? [] : [["transfer-encoding", "chunked"]];
    const flat = [["host", authority], ...headers, ...framing].flat();
    const req = requestHttp1({ port, host: "127.0.0.1", agent, method, path, headers: flat });
    const got = new Promise<Got>((done, fail) => {
      req.on("error", fail);
      req.on("response", (res) => {
        const pieces: Buffer[] = [];
        res.on("error", fail);
        res.on("data", (piece: Buffer) => pieces.push(piece));
        res.on("end", () =>
          done({
            status: res.statusCode ?? 0,
            body: Buffer.concat(pieces),
            trailers: res.trailers,
          }),
        );
      });
    });
    if (bodiless) req.end();
    else req.flushHeaders();
    return {
      write: (piece) => void req.write(piece),
      end(piece, trailers) {
        if (trailers.length > 0) req.addTrailers(trailers);
        req.end(piece);
      },
      leave: () => req.destroy(),
      got,
    };
  };
  return {
    send(head) {
      const bodiless = head.method === "GET";
      const sending =
        head.protocol === "h1" ? sendHttp1(head, bodiless) : sendHttp2(head, bodiless);
      // Whoever leaves gets nothing, and does not ask.
      sending.got.catch(() => {});
      return sending;
    },
    stop() {
      agent.destroy();
      session?.destroy();
    },
  };
}
