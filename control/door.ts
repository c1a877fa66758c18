import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import { asPrincipal, clampTimeout, createRate } from "./api/index.ts";
import { type Gate, may, scopeOf } from "./auth/index.ts";
import type { Metrics } from "./metrics/index.ts";
import type { XdsServer } from "./xds/index.ts";

export interface DoorOptions {
  gate: Gate;
  /** Answers what needs no principal, and says whether it did. */
  pages(req: IncomingMessage, res: ServerResponse): boolean;
  api(req: IncomingMessage, res: ServerResponse): void;
  metrics: Pick<Metrics, "text" | "contentType">;
  xds: Pick<XdsServer, "handle">;
  log(line: string, code?: string): void;
}

/** Lets requests in, in the name of whoever proved to make them. */
export interface Door {
  request(req: IncomingMessage, res: ServerResponse): void;
  /** A stream on the xDS address. */
  stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
}

/** Of one principal, over time. */
const mostCallsPerSecond = 200;

export function createDoor({ gate, pages, api, metrics, xds, log }: DoorOptions): Door {
  const rate = createRate(mostCallsPerSecond);

  async function admit(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const identity = await gate.authenticate(credentialsOf(req.headers.authorization, req.socket));
    if ("reason" in identity) return unauthenticated(res, identity.reason);
    // Proxies report once a second each, many of them under one name.
    if (!may(identity.principal, "proxy") && !rate.admits(identity.principal.name))
      return answer(res, 429, `more than ${mostCallsPerSecond} calls a second\n`);
    clampTimeout(req.headers);
    if (req.url !== "/metrics") return asPrincipal(identity.principal, () => api(req, res));
    if (!may(identity.principal, "viewer", "*"))
      return answer(res, 403, "viewer in all namespaces is required\n");
    const text = await metrics.text();
    res.writeHead(200, { "content-type": metrics.contentType }).end(text);
  }

  async function open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on("error", () => {});
    const socket = stream.session?.socket;
    const identity = await gate.authenticate(credentialsOf(headers.authorization, socket));
    if (stream.destroyed) return;
    if ("reason" in identity) {
      log(`denied: an xDS stream from ${socket?.remoteAddress}: ${identity.reason}`, "denied");
      stream.respond({ ":status": 401 }, { endStream: true });
    } else if (!xds.handle(stream, headers, (node) => scopeOf(identity.principal, node)))
      stream.respond({ ":status": 404 }, { endStream: true });
  }

  return {
    request(req, res) {
      if (req.url === "/healthz" || req.url === "/readyz") return answer(res, 200, "ok\n");
      if (!pages(req, res)) void admit(req, res);
    },
    stream: (stream, headers) => void open(stream, headers),
  };
}

/** What a request brings to prove who makes it: a certificate counts only where TLS has verified it. */
function credentialsOf(authorization: string | undefined, socket: unknown) {
  const verified = socket instanceof TLSSocket && socket.authorized;
  return {
    authorization,
    ...(verified ? { certificate: socket.getPeerCertificate() } : {}),
  };
}

function answer(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { "content-type": "text/plain" }).end(body);
}

function unauthenticated(res: ServerResponse, reason: string): void {
  res.writeHead(401, { "content-type": "application/json", "www-authenticate": "Bearer" });
  res.end(JSON.stringify({ code: "unauthenticated", message: reason }));
}
