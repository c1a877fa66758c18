import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import type { Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type ApiContext,
  accessInterceptor,
  appliedIn,
  asPrincipal,
  clampTimeout,
  createApi,
  createRate,
  errorInterceptor,
  guardStore,
  mostMessageBytes,
  problemsError,
  staleInterceptor,
  variantsOf,
} from "./api/index.ts";
import { createGate, isLoopback, may, scopeOf, type TlsFiles } from "./auth/index.ts";
import { type ClusterOptions, openController } from "./controller/index.ts";
import { expireDrills } from "./drill/index.ts";
import { createFilterCode } from "./filter-code.ts";
import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "./istio/index.ts";
import { joinReplicas } from "./leader/index.ts";
import {
  createHttp2Server,
  ListenError,
  type Listening,
  listenBoth,
  listenHttp2,
} from "./listen.ts";
import {
  createMetrics,
  fleetMetrics,
  type Metrics,
  metricsInterceptor,
  reportedMetrics,
} from "./metrics/index.ts";
import { createPublisher } from "./publish.ts";
import { createBudgets, createLedger, recorded } from "./report/index.ts";
import { createEngine, createSources, type SourceOptions } from "./rollout/index.ts";
import { createFleetLimits, routesByHost } from "./route/index.ts";
import { createSignalHistory, sampleMs } from "./signals/index.ts";
import { openStore } from "./store/index.ts";
import type { Log } from "./telemetry/index.ts";
import { createPages } from "./web/pages.ts";
import { type Address, createFleet, createXdsServer } from "./xds/index.ts";

export interface ServerOptions extends SourceOptions {
  /** API and page. */
  listen: Address;
  xds: Address;
  /** Where the proxies that Weir configures listen for clients. */
  gateway: Address;
  /** "memory", "lmdb:DIRECTORY" or "etcd://HOST:PORT[,...]". */
  store: string;
  /** With a store in Kubernetes: what is applied there, and how. */
  cluster?: ClusterOptions;
  /** weir.wasm on this machine, the other modules beside it; their bytes go to the proxies. */
  wasm: string;
  /** Path of weir.wasm on the proxies' machines, beside the others, instead of sending the bytes. */
  wasmOnProxy?: string;
  /** One token that may do everything. Without it, or an access file, nothing listens beyond loopback. */
  token?: string;
  /** File that every report is added to, for `weir rollout simulate --replay`. */
  record?: string;
  /** Access file: who may do what. */
  access?: string;
  tls?: TlsFiles;
  log: Log;
  /** Sees every call of the API from the outside. */
  interceptors?: Interceptor[];
}

/** A running control service. */
export interface ControlServer {
  listen: Address;
  xds: Address;
  close(): Promise<void>;
}

/** Rollouts are looked at this often. */
const lookMs = 500;
/** Of one principal, over time. */
const mostCallsPerSecond = 200;

/** Wires the rooms together and starts to listen. @throws ListenError, PolicyError, StoreUnavailableError */
export async function startServer(options: ServerOptions): Promise<ControlServer> {
  const gate = createGate(options);
  for (const [flag, { host }] of [
    ["--listen", options.listen],
    ["--xds", options.xds],
  ] as const)
    if (!isLoopback(host) && !gate.guarded)
      throw new ListenError(
        `${flag} ${host} is not a loopback address: name an access file (--access) or a token (--token-file, WEIR_TOKEN) to listen there`,
      );
  const store = openStore(options.store);
  const fleet = createFleet();
  const ledger = recorded(createLedger(), options.record);
  const limits = createFleetLimits();
  const budgets = createBudgets(limits.of);
  const signals = createSignalHistory(ledger);
  const metrics = createMetrics([
    ...fleetMetrics(() => fleet.list()),
    ...reportedMetrics(() =>
      ledger.routes().map((route) => [route, ledger.observation(route)] as const),
    ),
  ]);
  const xds = createXdsServer(fleet, {
    nack: (node, type, version, message) => {
      metrics.nacked(type);
      options.log(`${node} refused ${type} ${version}: ${message}`, "xds-nack");
    },
  });
  const code = createFilterCode(options);
  // Told at start rather than at the first publication: without it nothing works.
  code("weir");
  let report = options.listen;
  const { reports, tls } = gate;
  const publisher = createPublisher({
    store,
    fleet,
    xds,
    report: () => report,
    reportAccess: (scope) => ({
      ...(reports ? { token: reports.tokenFor(scope) } : {}),
      ...(tls ? { certificateSha256: tls.certificateSha256 } : {}),
    }),
    gateway: options.gateway,
    code,
    onRoutes: limits.follow,
    log: options.log,
  });

  const scoped = {
    fleet,
    published: (node: string) => publisher.published(fleet.scope(node)),
    scope: fleet.scope,
  };
  const sources = createSources(options);
  const leader = joinReplicas(options.store, options.log);
  const rollouts = createEngine({
    store,
    leadership: leader.current,
    applied: (name, state) => appliedIn(scoped)(name, state),
    observation: ledger.observation,
    silentMs: fleet.silentMs,
    ...sources,
    monotonicMs: () => performance.now(),
    now: () => new Date(),
    log: options.log,
  });
  const context: ApiContext = {
    ...scoped,
    store: guardStore(store),
    hosts: async () => routesByHost((await store.list()).routes),
    ledger,
    budgets,
    signals,
    rollouts,
    sources: sources.known,
    render,
  };
  const rate = createRate(mostCallsPerSecond);
  const http2 = createHttp2Server(tls, true);
  const pages = createPages();
  const adapter = connectNodeAdapter({
    routes: createApi(context),
    interceptors: [
      ...(options.interceptors ?? []),
      metricsInterceptor(metrics),
      errorInterceptor,
      accessInterceptor(options.log),
      staleInterceptor(() => store.staleSince?.()),
    ],
    readMaxBytes: mostMessageBytes,
    writeMaxBytes: 64 * mostMessageBytes,
    jsonOptions: { ignoreUnknownFields: false },
  });
  const onRequest = (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === "/healthz" || req.url === "/readyz") return answer(res, 200, "ok\n");
    if (pages(req, res)) return;
    void admit(req, res);
  };
  async function admit(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const identity = await gate.authenticate(credentialsOf(req.headers.authorization, req.socket));
    if ("reason" in identity) return unauthenticated(res, identity.reason);
    // Proxies report once a second each, many of them under one name.
    if (!may(identity.principal, "proxy") && !rate.admits(identity.principal.name))
      return answer(res, 429, `more than ${mostCallsPerSecond} calls a second\n`);
    clampTimeout(req.headers);
    if (req.url !== "/metrics") return asPrincipal(identity.principal, () => adapter(req, res));
    if (may(identity.principal, "viewer", "*")) return serveMetrics(metrics, res);
    return answer(res, 403, "viewer in all namespaces is required\n");
  }
  http2.on("request", onRequest as never);
  const xdsHttp2 = createHttp2Server(tls);
  xdsHttp2.on("stream", async (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on("error", () => {});
    const socket = stream.session?.socket;
    const identity = await gate.authenticate(credentialsOf(headers.authorization, socket));
    if (stream.destroyed) return;
    if ("reason" in identity) {
      options.log(
        `denied: an xDS stream from ${socket?.remoteAddress}: ${identity.reason}`,
        "denied",
      );
      stream.respond({ ":status": 401 }, { endStream: true });
    } else if (!xds.handle(stream, headers, (node) => scopeOf(identity.principal, node)))
      stream.respond({ ":status": 404 }, { endStream: true });
  });

  const stop = new AbortController();
  const reportAccess = { tokenFor: reports?.tokenFor, ...tls };
  const controller =
    options.cluster &&
    openController(store, leader, { ...options.cluster, reportAccess }, fleet, options.log);
  const open: Listening[] = [];
  try {
    const api = await listenBoth(options.listen, "--listen", onRequest, http2);
    open.push(api);
    report = api.address;
    await publisher.publish();
    open.push(await listenHttp2(options.xds, "--xds", xdsHttp2));
  } catch (error) {
    await Promise.all(open.map((each) => each.close()));
    await controller?.close();
    await leader.close();
    await store.close();
    throw error;
  }
  const stopRollouts = rollouts.start(lookMs);
  const sampling = setInterval(() => {
    store.list().then(
      ({ routes }) =>
        signals.sample(routes.flatMap(({ route }) => (route ? [variantsOf(route)] : []))),
      (error: unknown) => options.log(`could not sample signals: ${error}`, "sample-failed"),
    );
  }, sampleMs);
  const drills = expireDrills(store, options.log);
  void publisher.follow(store.watch((await store.list()).sequence, stop.signal));

  return {
    listen: open[0]?.address ?? options.listen,
    xds: open[1]?.address ?? options.xds,
    async close() {
      stop.abort();
      stopRollouts();
      clearInterval(sampling);
      drills.close();
      publisher.close();
      xds.close();
      await Promise.all(open.map((each) => each.close()));
      await controller?.close();
      await leader.close();
      await store.close();
    },
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

function render(states: RouteState[], _target: string, wasmUrl: string): string {
  const { manifests, problems } = renderIstio(states, wasmUrl ? { wasmUrl } : {});
  if (problems.length > 0) throw problemsError(problems);
  return toYaml(manifests);
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
