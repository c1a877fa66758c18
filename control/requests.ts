import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import type { Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type ApiContext,
  accessInterceptor,
  asPrincipal,
  clampTimeout,
  createApi,
  createRate,
  createReportEndpoint,
  errorInterceptor,
  mostMessageBytes,
  staleInterceptor,
} from "./api/index.ts";
import { type createGate, may } from "./auth/index.ts";
import { type Metrics, metricsInterceptor } from "./metrics/index.ts";
import { createPages } from "./web/pages.ts";

/** Of one principal, over time. */
const mostCallsPerSecond = 200;

export interface RequestOptions {
  gate: ReturnType<typeof createGate>;
  context: ApiContext;
  metrics: Metrics;
  /** What the start still waits for; undefined once proxies and callers can come. */
  startsWith(): string | undefined;
  /** Since when reads come from a copy; undefined while they do not. */
  staleSince(): Date | undefined;
  /** Sees every call of the API from the outside. */
  interceptors: Interceptor[];
  log(line: string, code?: string): void;
}

/** What answers on the API's port: health, the page, metrics, and the API for whom the gate lets in. */
export function createRequests({
  gate,
  context,
  metrics,
  startsWith,
  staleSince,
  interceptors,
  log,
}: RequestOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const reported = createReportEndpoint(context, {
    mostBytes: mostMessageBytes,
    denied: log,
    called: metrics.called,
  });
  const rate = createRate(mostCallsPerSecond);
  const pages = createPages();
  const adapter = connectNodeAdapter({
    routes: createApi(context),
    interceptors: [
      ...interceptors,
      metricsInterceptor(metrics),
      errorInterceptor,
      accessInterceptor(log),
      staleInterceptor(staleSince),
    ],
    readMaxBytes: mostMessageBytes,
    writeMaxBytes: 64 * mostMessageBytes,
    jsonOptions: { ignoreUnknownFields: false },
  });

  async function admit(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const identity = await gate.authenticate(credentialsOf(req.headers.authorization, req.socket));
    if ("reason" in identity) return unauthenticated(res, identity.reason);
    // Proxies report once a second each, many of them under one name.
    if (!may(identity.principal, "proxy") && !rate.admits(identity.principal.name))
      return answer(res, 429, `more than ${mostCallsPerSecond} calls a second\n`);
    if (reported(req, res, identity.principal)) return;
    clampTimeout(req.headers);
    if (req.url !== "/metrics") return asPrincipal(identity.principal, () => adapter(req, res));
    if (may(identity.principal, "viewer", "*")) return serveMetrics(metrics, res);
    return answer(res, 403, "viewer in all namespaces is required\n");
  }

  return (req, res) => {
    if (req.url === "/healthz") return answer(res, 200, "ok\n");
    if (req.url === "/readyz") {
      const missing = startsWith();
      return missing ? answer(res, 503, `${missing}\n`) : answer(res, 200, "ok\n");
    }
    if (pages(req, res)) return;
    void admit(req, res);
  };
}

/** What a request brings to prove who makes it: a certificate counts only where TLS has verified it. */
export function credentialsOf(authorization: string | undefined, socket: unknown) {
  const verified = socket instanceof TLSSocket && socket.authorized;
  return {
    authorization,
    ...(verified ? { certificate: socket.getPeerCertificate() } : {}),
  };
}

function answer(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { "content-type": "text/plain" }).end(body);
}

async function serveMetrics(metrics: Metrics, res: ServerResponse): Promise<void> {
  const text = await metrics.text();
  res.writeHead(200, { "content-type": metrics.contentType }).end(text);
}

function unauthenticated(res: ServerResponse, reason: string): void {
  res.writeHead(401, { "content-type": "application/json", "www-authenticate": "Bearer" });
  res.end(JSON.stringify({ code: "unauthenticated", message: reason }));
}
