import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { hostname } from "node:os";
import type { Interceptor } from "@connectrpc/connect";
import {
  type ApiContext,
  appliedIn,
  guardStore,
  problemsError,
  variantsOf,
  wholeFleet,
} from "./api/index.ts";
import { createGate, isLoopback, scopeOf, type TlsFiles } from "./auth/index.ts";
import { type ClusterOptions, openController } from "./controller/index.ts";
import { expireDrills } from "./drill/index.ts";
import { createFilterCode } from "./filter-code.ts";
import type { ReportRequest } from "./gen/weir/v1/report_pb.ts";
import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { renderIstio, toYaml } from "./istio/index.ts";
import { createOwnership, joinReplicas } from "./leader/index.ts";
import {
  createHttp2Server,
  ListenError,
  type Listening,
  listenBoth,
  listenHttp2,
} from "./listen.ts";
import { createMetrics, fleetMetrics, isReporter, reportedMetrics } from "./metrics/index.ts";
import { createPeers, createRelay, type PeerAddress, peerTransport } from "./peers/index.ts";
import { createPublisher } from "./publish.ts";
import { createBudgets, createLedger, recorded } from "./report/index.ts";
import { createRequests, credentialsOf } from "./requests.ts";
import { createEngine, createSources, type SourceOptions } from "./rollout/index.ts";
import { createFleetLimits, routesByHost } from "./route/index.ts";
import { createSignalHistory, sampleMs } from "./signals/index.ts";
import { openStore } from "./store/index.ts";
import { type Log, sparse } from "./telemetry/index.ts";
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
  /** APIs of the other replicas of this control service; a name may stand for several, this one among them. */
  peers?: readonly PeerAddress[];
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
  const replica = `${hostname()}-${randomBytes(4).toString("hex")}`;
  const relay = createRelay();
  const owns = createOwnership(replica, () => peers.names());
  const limits = createFleetLimits();
  const budgets = createBudgets(limits.of, { decides: owns });
  const signals = createSignalHistory(ledger);
  // What every replica knows one of them tells Prometheus, or the sum over all would be too much.
  const tells = () => owns("metrics");
  const metrics = createMetrics([
    ...fleetMetrics(() => fleet.list().filter((proxy) => !isReporter(proxy) || tells())),
    ...reportedMetrics(() =>
      tells() ? ledger.routes().map((route) => [route, ledger.observation(route)] as const) : [],
    ),
  ]);
  const refusals = sparse(options.log);
  const xds = createXdsServer(fleet, {
    nack: (node, type, version, message) => {
      metrics.nacked(type);
      refusals(`${node} refused ${type} ${version}: ${message}`, "xds-nack");
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

  const heard = (report: ReportRequest) => {
    // Two modules of a proxy may be a push apart for a moment; weir.wasm speaks for it.
    if (report.filter === "" && !peers.has(report.node))
      fleet.reported(report.node, report.revision);
    ledger.add(report);
    // A module that knows no such limits names no needs, and must not give back another's.
    return report.filter === "" ? budgets.report(report.node, report.needs) : [];
  };
  const peers = createPeers({
    self: replica,
    addresses: options.peers ?? [],
    transport: (address) =>
      peerTransport(address, {
        ...(gate.peerToken ? { token: gate.peerToken } : {}),
        ...(tls ? { tls } : {}),
      }),
    heard: (report) => relay.grant(report.node, heard(report)),
    log: options.log,
  });
  const scoped = {
    fleet,
    peers,
    published: (node: string) => publisher.published(fleet.scope(node)),
    scope: fleet.scope,
    mesh: () => controller?.filters,
  };
  const sources = createSources(options);
  const leader = joinReplicas(options.store, replica, options.log);
  const rollouts = createEngine({
    store,
    leadership: leader.current,
    others: {
      progress: (name) => peers.rollout(name, leader.holder()),
      onProgress: peers.onRollout,
      leader: leader.holder,
    },
    applied: (name, state) => appliedIn(scoped)(name, state),
    nobody: () => nobodyConnected(replica, leader.current()?.fence, peers.names()),
    observation: ledger.observation,
    tenants: ledger.tenants,
    silentMs: () => Math.min(fleet.silentMs(), peers.silentMs()),
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
    replica,
    relay,
    heard,
    signals,
    rollouts,
    sources: sources.known,
    ...(sources.podLoads ? { podLoads: sources.podLoads } : {}),
    render,
  };
  const onRequest = createRequests({
    gate,
    context,
    metrics,
    startsWith: () => (started ? undefined : "xDS does not listen yet"),
    staleSince: () => store.staleSince?.(),
    interceptors: options.interceptors ?? [],
    log: options.log,
  });
  const http2 = createHttp2Server(tls, true);
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
  const everyone = { list: () => wholeFleet(scoped), onChange: fleet.onChange };
  const reportAccess = { tokenFor: reports?.tokenFor, ...tls };
  const controller =
    options.cluster &&
    openController(store, leader, { ...options.cluster, reportAccess }, everyone, options.log);
  const open: Listening[] = [];
  let started = false;
  try {
    const listening = await listenBoth(options.listen, "--listen", onRequest, http2);
    open.push(listening);
    report = listening.address;
    await publisher.publish();
    open.push(await listenHttp2(options.xds, "--xds", xdsHttp2));
    started = true;
  } catch (error) {
    await Promise.all(open.map((each) => each.close()));
    peers.close();
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
      peers.close();
      await Promise.all(open.map((each) => each.close()));
      await controller?.close();
      await leader.close();
      await store.close();
    },
  };
}

/** What a rollout waits for where no proxy is seen: of several replicas one may see none because it follows no other. */
function nobodyConnected(replica: string, fence: bigint | undefined, others: string[]): string {
  const nobody = "no proxy is connected";
  // A store of one process has no fence.
  return !fence || others.length > 0
    ? nobody
    : `${nobody} to ${replica}, which leads and follows no other replica (--peers)`;
}

function render(states: RouteState[], _target: string, wasmUrl: string): string {
  const { manifests, problems } = renderIstio(states, wasmUrl ? { wasmUrl } : {});
  if (problems.length > 0) throw problemsError(problems);
  return toYaml(manifests);
}
