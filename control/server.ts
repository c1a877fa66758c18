import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  type ApiContext,
  checkBearer,
  createApi,
  errorInterceptor,
  mostMessageBytes,
  problemsError,
  variantsOf,
} from "./api/index.ts";
import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "./istio/index.ts";
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
import { createLedger } from "./report/index.ts";
import {
  besideWeir,
  filterConfig,
  filterConfigText,
  routeName,
  type WasmModule,
} from "./route/index.ts";
import { createSignalHistory, sampleMs } from "./signals/index.ts";
import { openStore } from "./store/index.ts";
import { createPages } from "./web/pages.ts";
import {
  type Address,
  buildResources,
  createFleet,
  createSnapshot,
  createXdsServer,
  type ResourceOptions,
  reportClusterName,
  withoutRemovals,
} from "./xds/index.ts";

export interface ServerOptions {
  /** API and page. */
  listen: Address;
  xds: Address;
  /** Where the proxies that Weir configures listen for clients. */
  gateway: Address;
  /** "memory" or "lmdb:DIRECTORY". */
  store: string;
  /** weir.wasm on this machine, with weir-full.wasm beside it; their bytes go to the proxies. */
  wasm: string;
  /** Path of weir.wasm on the proxies' machines, instead of sending the bytes. */
  wasmOnProxy?: string;
  /** Required of API clients; without it nothing listens beyond loopback. */
  token?: string;
  log: (line: string) => void;
}

/** A running control service. */
export interface ControlServer {
  listen: Address;
  xds: Address;
  close(): Promise<void>;
}

/** Changes that come within this time are sent together. */
const debounceMs = 5;
/** Clusters that are gone stay this long with proxies that may still name them. */
const removalMs = 2_000;

/** Wires the rooms together and starts to listen. @throws ListenError, StoreUnavailableError */
export async function startServer(options: ServerOptions): Promise<ControlServer> {
  for (const [flag, { host }] of [
    ["--listen", options.listen],
    ["--xds", options.xds],
  ] as const)
    if (!isLoopback(host) && options.token === undefined)
      throw new ListenError(
        `${flag} ${host} is not a loopback address: set a token (--token-file or WEIR_TOKEN) to listen there`,
      );
  const store = openStore(options.store);
  const fleet = createFleet();
  const ledger = createLedger();
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
      options.log(`${node} refused ${type} ${version}: ${message}`);
    },
  });
  const source = (module: WasmModule): ResourceOptions["wasm"] =>
    options.wasmOnProxy
      ? { file: besideWeir(options.wasmOnProxy, module) }
      : { bytes: readFileSync(besideWeir(options.wasm, module)) };
  const wasm = source("weir");
  const fullWasm = source("weir-full");
  let published: ReturnType<ApiContext["published"]>;
  let removal: NodeJS.Timeout | undefined;
  let report = options.listen;

  async function publish(): Promise<void> {
    const { routes } = await store.list();
    const config = filterConfig(routes, {
      cluster: reportClusterName,
      authority: `${report.host}:${report.port}`,
      intervalMs: 1000,
    });
    const snapshot = createSnapshot(
      buildResources(routes, {
        gateway: options.gateway,
        wasm,
        fullWasm,
        report,
        filterConfig: filterConfigText(config),
      }),
    );
    clearTimeout(removal);
    const gentle = withoutRemovals(xds.current(), snapshot);
    published = { snapshot: gentle ?? snapshot, revision: config.revision, etags: etagsOf(routes) };
    xds.publish(published.snapshot);
    if (gentle === undefined) return;
    removal = setTimeout(() => {
      published = { snapshot, revision: config.revision, etags: etagsOf(routes) };
      xds.publish(snapshot);
    }, removalMs);
  }

  const context: ApiContext = { store, fleet, ledger, signals, published: () => published, render };
  const http2 = createHttp2Server();
  const pages = createPages();
  const adapter = connectNodeAdapter({
    routes: createApi(context),
    interceptors: [metricsInterceptor(metrics), errorInterceptor],
    readMaxBytes: mostMessageBytes,
    writeMaxBytes: 64 * mostMessageBytes,
    jsonOptions: { ignoreUnknownFields: false },
  });
  const onRequest = (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === "/healthz" || req.url === "/readyz") return answer(res, 200, "ok\n");
    if (pages(req, res)) return;
    if (!checkBearer(req.headers.authorization, options.token)) return unauthenticated(res);
    if (req.url === "/metrics") return void serveMetrics(metrics, res);
    adapter(req, res);
  };
  http2.on("request", onRequest as never);
  const xdsHttp2 = createHttp2Server();
  xdsHttp2.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    if (!checkBearer(headers.authorization, options.token))
      stream.respond({ ":status": 401 }, { endStream: true });
    else if (!xds.handle(stream, headers)) stream.respond({ ":status": 404 }, { endStream: true });
  });

  const stop = new AbortController();
  const open: Listening[] = [];
  try {
    const api = await listenBoth(options.listen, "--listen", onRequest, http2);
    open.push(api);
    report = api.address;
    await publish();
    open.push(await listenHttp2(options.xds, "--xds", xdsHttp2));
  } catch (error) {
    await Promise.all(open.map((each) => each.close()));
    await store.close();
    throw error;
  }
  const sampling = setInterval(() => {
    store.list().then(
      ({ routes }) =>
        signals.sample(routes.flatMap(({ route }) => (route ? [variantsOf(route)] : []))),
      (error: unknown) => options.log(`could not sample signals: ${error}`),
    );
  }, sampleMs);
  void follow(store.watch((await store.list()).sequence, stop.signal), publish, options.log);

  return {
    listen: open[0]?.address ?? options.listen,
    xds: open[1]?.address ?? options.xds,
    async close() {
      stop.abort();
      clearInterval(sampling);
      clearTimeout(removal);
      xds.close();
      await Promise.all(open.map((each) => each.close()));
      await store.close();
    },
  };
}

/** Publishes after each change; changes in quick succession once. */
async function follow(
  events: AsyncIterable<unknown>,
  publish: () => Promise<void>,
  log: (line: string) => void,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  for await (const _ of events) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      publish().catch((error: unknown) =>
        log(`could not publish: ${error instanceof Error ? error.message : error}`),
      );
    }, debounceMs);
  }
  clearTimeout(timer);
}

function etagsOf(routes: readonly RouteState[]): Map<string, string> {
  return new Map(
    routes.flatMap(({ route, etag }) => (route ? [[routeName(route), etag] as const] : [])),
  );
}

function render(states: RouteState[], _target: string, wasmUrl: string): string {
  const { manifests, problems } = renderIstio(states, wasmUrl ? { wasmUrl } : {});
  if (problems.length > 0) throw problemsError(problems);
  return toYaml(manifests);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function answer(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { "content-type": "text/plain" }).end(body);
}

async function serveMetrics(metrics: Metrics, res: ServerResponse): Promise<void> {
  const text = await metrics.text();
  res.writeHead(200, { "content-type": metrics.contentType }).end(text);
}

function unauthenticated(res: ServerResponse): void {
  res.writeHead(401, { "content-type": "application/json", "www-authenticate": "Bearer" });
  res.end(JSON.stringify({ code: "unauthenticated", message: "a bearer token is required" }));
}
