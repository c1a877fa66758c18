import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import {
  type ApiContext,
  appliedIn,
  createReportIntake,
  guardStore,
  variantsOf,
  wholeFleet,
} from "../../api/index.ts";
import { createGate, type TlsFiles } from "../../auth/index.ts";
import { type ClusterOptions, openController } from "../../controller/index.ts";
import { expireDrills } from "../../drill/index.ts";
import { createOwnership, joinReplicas, nobodyConnected } from "../../leader/index.ts";
import { createKnownLoads } from "../../loads/index.ts";
import {
  createMetrics,
  fleetMetrics,
  isReporter,
  reportedMetrics,
  roomMetrics,
  saturationMetrics,
} from "../../metrics/index.ts";
import { createPeers, createRelay, type PeerAddress, peerTransport } from "../../peers/index.ts";
import { createFilterCode, createHold, createPublisher } from "../../publish/index.ts";
import { createBudgets, createLedger, fullMessage, recorded } from "../../report/index.ts";
import { createEngine, createSources, type SourceOptions } from "../../rollout/index.ts";
import { createFleetLimits, routesByHost } from "../../route/index.ts";
import { createSignalHistory, sampleMs } from "../../signals/index.ts";
import { openStore } from "../../store/index.ts";
import { type Log, sparse } from "../../telemetry/index.ts";
import { type Address, createFleet, createXdsServer, type EdgeOptions } from "../../xds/index.ts";
import { lastCallsMs } from "../ports/going-away.ts";
import {
  createHttp2Server,
  type Listening,
  listenBoth,
  listenHttp2,
  refuseToBeOpen,
} from "../ports/listen.ts";
import { createRequests } from "../ports/requests.ts";
import { createXdsStreams } from "../ports/xds-streams.ts";
import { renderManifests } from "./rendering.ts";

/** What the control service is started with. */
export interface ServerOptions extends SourceOptions {
  /** API and page. */
  listen: Address;
  xds: Address;
  /** Where the proxies that Weir configures listen for clients. */
  gateway: Address;
  /** Whom they believe there, and how long they wait for clients. */
  edge?: EdgeOptions;
  /** "memory", "lmdb:DIRECTORY", "etcd://HOST:PORT[,...]" or "kube[:NAMESPACE]". */
  store: string;
  /** Sends an empty configuration even where the store is new and proxies run one. Absent: false. */
  acceptEmpty?: boolean;
  opened?(): void;
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
  /** Names, or names with a port, under which the API is reached besides loopback's. */
  allowedHosts?: readonly string[];
  log: Log;
  /** APIs of the other replicas of this control service; a name may stand for several, this one among them. */
  peers?: readonly PeerAddress[];
  interceptors?: Interceptor[];
  monotonicMs?(): number;
}

/** A control service that runs, with the ports that it got. */
export interface ControlServer {
  listen: Address;
  xds: Address;
  close(): Promise<void>;
}

/** Rollouts are looked at this often. */
const lookMs = 500;

/** Wires the rooms together and starts to listen. @throws ListenError, PolicyError, StoreUnavailableError */
export async function startServer(options: ServerOptions): Promise<ControlServer> {
  const { monotonicMs = () => performance.now() } = options;
  const gate = createGate(options);
  if (!gate.guarded) refuseToBeOpen(options);
  const ledger = recorded(
    createLedger(Date.now, (...full) => options.log(fullMessage(...full), "report-full")),
    options.record,
    (line) => options.log(line, "record-failed"),
  );
  const store = openStore(options.store, options);
  options.opened?.();
  const hold = createHold(options);
  const fleet = createFleet();
  const replica = `${hostname()}-${randomBytes(4).toString("hex")}`;
  const relay = createRelay();
  const owns = createOwnership(replica, () => peers.names());
  const limits = createFleetLimits();
  const budgets = createBudgets(limits.of, { decides: owns, nowMs: monotonicMs });
  const signals = createSignalHistory(ledger);
  const sources = createSources(options);
  const loads = createKnownLoads(sources.podLoads, owns, monotonicMs);
  // What all replicas know one of them tells Prometheus.
  const tells = () => owns("metrics");
  const metrics = createMetrics([
    ...roomMetrics(ledger),
    ...fleetMetrics(() => fleet.list().filter((proxy) => !isReporter(proxy) || tells())),
    ...reportedMetrics(() =>
      tells() ? ledger.routes().map((route) => [route, ledger.observation(route)] as const) : [],
    ),
    ...saturationMetrics(loads, tells),
  ]);
  const refusals = sparse(options.log);
  const { reports, tls } = gate;
  const xds = createXdsServer(
    fleet,
    {
      runs: hold.runs,
      holds: hold.holds,
      nack: (node, type, version, message) => {
        metrics.nacked(type);
        refusals(`${node} refused ${type} ${version}: ${message}`, "xds-nack");
      },
    },
    { ...(reports ? { secretOf: reports.tokenFor } : {}) },
  );
  const code = createFilterCode(options);
  // Told at start rather than at the first publication: without it nothing works.
  code("weir");
  let report = options.listen;
  const publisher = createPublisher({
    store,
    fleet,
    xds,
    report: () => report,
    reportAccess: () => ({
      ...(reports ? { proven: true } : {}),
      ...(tls ? { certificateSha256: tls.certificateSha256 } : {}),
    }),
    gateway: options.gateway,
    edge: options.edge,
    code,
    onRoutes(states) {
      limits.follow(states);
      loads.follow(states);
    },
    mayQuote: (scope, route) =>
      scope.every((namespace) => recordedSees(gate.partial)(namespace, route)),
    onStored: hold.stored,
    log: options.log,
  });

  const inputs = { fleet, ledger, budgets, loads, elsewhere: (node: string) => peers.has(node) };
  const intake = createReportIntake(inputs, hold.runs, refusals);
  const peers = createPeers({
    self: replica,
    addresses: options.peers ?? [],
    transport: (address) =>
      peerTransport(address, {
        ...(gate.peerToken ? { token: gate.peerToken } : {}),
        ...(tls ? { tls } : {}),
      }),
    onReport: (report) => relay.grant(report.node, intake.take(report), loads.of(report)),
    log: options.log,
  });
  const scoped = {
    fleet,
    peers,
    published: publisher.published,
    scope: fleet.scope,
    mesh: () => controller?.filters,
    spoken: intake.namespaces,
  };
  const leader = joinReplicas(options.store, replica, options.log);
  const rollouts = createEngine({
    store,
    leadership: leader.current,
    others: {
      progress: (name) => peers.rollout(name, leader.holder()),
      onProgress: peers.onRollout,
      leader: leader.holder,
    },
    applied: (name, state) => appliedIn(scoped, recordedSees(gate.partial))(name, state),
    nobody: () => nobodyConnected(replica, leader.current()?.fence, peers.names()),
    observation: ledger.observation,
    tenants: ledger.tenants,
    voices: ledger.voices,
    silentMs: () => Math.min(fleet.silentMs(), peers.silentMs()),
    ...sources,
    monotonicMs,
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
    onReport: intake.take,
    loads,
    signals,
    rollouts,
    sources: sources.known,
    render: renderManifests,
  };
  const stop = new AbortController();
  const onRequest = createRequests({
    goingAway: stop.signal,
    gate,
    allowedHosts: options.allowedHosts ?? [],
    context,
    metrics,
    startsWith() {
      if (stop.signal.aborted) return "the control service is shutting down";
      return started ? undefined : "the xDS server does not listen yet";
    },
    holds: hold.reason,
    store,
    interceptors: options.interceptors ?? [],
    log: options.log,
  });
  const http2 = createHttp2Server(tls, true);
  http2.on("request", onRequest as never);
  const xdsHttp2 = createHttp2Server(tls);
  xdsHttp2.on("stream", createXdsStreams(gate, xds, options.log));

  const everyone = { list: () => wholeFleet(scoped), onChange: fleet.onChange };
  const reportAccess = { tokenFor: reports?.meshToken, ...tls };
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
      (error: unknown) => options.log(`could not record signals: ${error}`, "sample-failed"),
    );
  }, sampleMs);
  const drills = expireDrills(store, options.log);
  void publisher.follow(store.watch((await store.list()).sequence, stop.signal));

  return {
    listen: open[0]?.address ?? options.listen,
    xds: open[1]?.address ?? options.xds,
    async close() {
      stop.abort(new ConnectError("the control service is shutting down", Code.Unavailable));
      stopRollouts();
      clearInterval(sampling);
      drills.close();
      publisher.close();
      // What is on its way is answered before connections close; the last of it is read in this turn.
      await sleep(lastCallsMs);
      await nextTurn();
      xds.close();
      peers.close();
      await Promise.all(open.map((each) => each.close()));
      await controller?.close();
      await leader.close();
      await store.close();
    },
  };
}

/** What a rollout or the audit keeps of a proxy's words its route's readers see: where namespaces are kept apart, words of that one. */
function recordedSees(apart: boolean) {
  return (namespace: string, route: string) => !apart || route.startsWith(`${namespace}/`);
}
