import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Interceptor } from "@connectrpc/connect";
import {
  type ApiContext,
  accessInterceptor,
  asPrincipal,
  clampTimeout,
  createApi,
  createReportEndpoint,
  errorInterceptor,
  maxMessageBytes,
  roleFor,
  staleInterceptor,
} from "../../api/index.ts";
import {
  type createGate,
  createHostCheck,
  credentialsOf,
  type HostRules,
  isPod,
  type Misdirected,
  may,
  type Principal,
} from "../../auth/index.ts";
import { type Metrics, metricsInterceptor } from "../../metrics/index.ts";
import { sparse } from "../../telemetry/index.ts";
import { createPages } from "../../web/pages.ts";
import { createCalls } from "../calls/calls.ts";
import { costInterceptor, createCosts } from "../calls/costs.ts";
import { createRates } from "../calls/rates.ts";
import { goingAwayInterceptor } from "./going-away.ts";
import { isDoomed } from "./limit-resets.ts";
import { createUnread } from "./unread.ts";

export interface RequestOptions {
  gate: Pick<ReturnType<typeof createGate>, "authenticate" | "guarded">;
  /** Further names under which this service is reached. */
  allowedHosts: HostRules["allowed"];
  context: ApiContext;
  metrics: Metrics;
  /** What the start still waits for, or that this is the end; undefined while proxies and callers can come. */
  startsWith(): string | undefined;
  /** Told in every answer: since when reads come from a copy, and what in it is damaged. */
  store: Parameters<typeof staleInterceptor>[0];
  /** Why proxies are sent nothing; undefined while they are served. */
  holds(): string | undefined;
  /** Sees every call of the API from the outside. */
  interceptors: Interceptor[];
  /** Aborts when this service ends; the reason is what watches end with. */
  goingAway: AbortSignal;
  log(line: string, code?: string): void;
}

/** What answers on the API's port: health, the page, metrics, and the API for whom the gate lets in. */
export function createRequests({
  gate,
  allowedHosts,
  context,
  metrics,
  startsWith,
  store,
  holds,
  interceptors,
  goingAway,
  log,
}: RequestOptions): (req: IncomingMessage, res: ServerResponse) => void {
  const denied = sparse(log);
  const reported = createReportEndpoint(context, {
    maxBytes: maxMessageBytes,
    denied,
    called: metrics.called,
  });
  const tooOften = createRates();
  const pages = createPages();
  const unread = createUnread(goingAway);
  const hosts = createHostCheck({ guarded: gate.guarded, allowed: allowedHosts });
  const call = createCalls({
    routes: createApi(context),
    costs: createCosts(),
    log,
    interceptors: [
      costInterceptor,
      ...interceptors,
      metricsInterceptor(metrics),
      errorInterceptor,
      accessInterceptor(denied),
      staleInterceptor(store, holds),
      goingAwayInterceptor(goingAway, (method) => roleFor(method) !== "viewer"),
    ],
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: 64 * maxMessageBytes,
    jsonOptions: { ignoreUnknownFields: false },
  });

  async function admit(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const identity = await gate.authenticate(credentialsOf(req.headers.authorization, req.socket));
    if (isGone(req)) return;
    if ("reason" in identity) return unauthenticated(res, identity.reason);
    if (tooOften(req, res, identity.principal)) return;
    if (reported(req, res, identity.principal)) return;
    clampTimeout(req.headers);
    const caller = callerOf(identity.principal, req);
    if (req.url !== "/metrics")
      return asPrincipal(identity.principal, () => call(req, res, caller));
    if (may(identity.principal, "viewer", "*")) return serveMetrics(metrics, res);
    return answer(res, 403, "the role viewer in all namespaces is required\n");
  }

  return (req, res) => {
    if (isGone(req)) return;
    // HTTP/1.1 clients get a header; HTTP/2 sessions get GOAWAY when they close.
    if (goingAway.aborted && req.httpVersionMajor === 1) res.setHeader("connection", "close");
    unread(res);
    if (req.url === "/healthz") return answer(res, 200, "ok\n");
    if (req.url === "/readyz") {
      const missing = startsWith() ?? holds();
      return missing ? answer(res, 503, `${missing}\n`) : answer(res, 200, "ok\n");
    }
    const misdirected = hosts.host(req);
    if (misdirected) return refuse(res, misdirected);
    // The page's files need no authentication: they hold no data.
    if (pages(req, res)) return;
    const foreign = hosts.origin(req);
    if (foreign) return refuse(res, foreign);
    admit(req, res).catch((error: unknown) => {
      log(`a request failed: ${error}`, "request-failed");
      if (!res.headersSent) answer(res, 500, "internal error\n");
    });
  };
}

/** Whom a call is queued for; undefined for a name that many proxies share. Pods that share one have addresses. */
function callerOf(principal: Principal, { socket }: IncomingMessage): string | undefined {
  if (may(principal, "proxy")) return undefined;
  return isPod(principal) ? `${principal.name} ${socket.remoteAddress}` : principal.name;
}

/** Whether its client has taken a request back, or its session is being ended: then no one waits for it. */
function isGone(req: IncomingMessage): boolean {
  const { stream } = req as unknown as Partial<Http2ServerRequest>;
  if (stream === undefined) return req.socket.destroyed;
  return stream.destroyed || stream.closed || isDoomed(stream.session);
}

function refuse(res: ServerResponse, { status, message }: Misdirected): void {
  const code = status === 400 ? "invalid_argument" : "permission_denied";
  res.writeHead(status, { "content-type": "application/json" });
  res.end(JSON.stringify({ code, message }));
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
