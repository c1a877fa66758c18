import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it reached a backend. */
export interface Arrived {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  bodyBytes: number;
  /** The body where it is JSON. */
  body?: string;
}

/** How a backend answers: said in the request's header x-answer, as JSON. */
export interface WantedAnswer {
  status?: number;
  headers?: OutgoingHttpHeaders;
  /** Size of the body; the same text for the same size. */
  bytes?: number;
  /** Send the body without a length. */
  chunked?: boolean;
  /** Wait before the answer. */
  waitMs?: number;
}

export interface Backend {
  endpoint: string;
  arrived: Arrived[];
  /** Applies where a request says nothing. */
  usual: WantedAnswer;
  close(): Promise<void>;
}

/** Starts a backend that answers as it is asked to and keeps what arrived. */
export async function startBackend(name: string): Promise<Backend> {
  const arrived: Arrived[] = [];
  const usual: WantedAnswer = {};
  const server = createServer((req, res) => {
    let bodyBytes = 0;
    const pieces: Buffer[] = [];
    const isJson = req.headers["content-type"] === "application/json";
    req.on("error", () => {});
    req.on("data", (chunk: Buffer) => {
      bodyBytes += chunk.length;
      if (isJson) pieces.push(chunk);
    });
    req.on("end", () => {
      arrived.push({
        method: req.method ?? "",
        url: req.url ?? "",
        headers: req.headers,
        bodyBytes,
        ...(isJson ? { body: Buffer.concat(pieces).toString("utf8") } : {}),
      });
      const wanted: WantedAnswer = {
        ...usual,
        ...JSON.parse(String(req.headers["x-answer"] ?? "{}")),
      };
      setTimeout(() => {
        const body = Buffer.from("a sentence that repeats. ".repeat(1 << 12)).subarray(
          0,
          wanted.bytes ?? 0,
        );
        const length = wanted.chunked ? {} : { "content-length": body.length };
        const bodiless = wanted.status === 204 || wanted.status === 304;
        res.writeHead(wanted.status ?? 200, {
          "x-backend": name,
          ...(bodiless ? {} : length),
          ...wanted.headers,
        });
        res.end(bodiless || req.method === "HEAD" ? undefined : body);
      }, wanted.waitMs ?? 0);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrived,
    usual,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
