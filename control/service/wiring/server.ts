import { Code, ConnectError } from "@connectrpc/connect";
import { guardStore, wholeFleet } from "../../api/index.ts";
import { createGate } from "../../auth/index.ts";
import { openController } from "../../controller/index.ts";
import { createSources } from "../../rollout/index.ts";
import { routesByHost } from "../../route/index.ts";
import { openStore } from "../../store/index.ts";
import type { Address } from "../../xds/index.ts";
import { refuseToBeOpen } from "../ports/listen.ts";
import { createEndings, type Endings } from "./endings.ts";
import { openFleet } from "./fleet.ts";
import type { ServerOptions } from "./options.ts";
import { startOwnWork } from "./own-work.ts";
import { openPorts } from "./ports.ts";
import { openRegistrations } from "./registrations.ts";
import { renderManifests } from "./rendering.ts";
import { openReplicas } from "./replicas.ts";
import { openRollouts } from "./rollouts.ts";

/** A control service that runs, with the ports that it got. */
export interface ControlServer {
  listen: Address;
  xds: Address;
  close(): Promise<void>;
}

/** Wires the rooms together and starts to listen. @throws ListenError, PolicyError, StoreUnavailableError */
export async function startServer(options: ServerOptions): Promise<ControlServer> {
  const gate = createGate(options);
  if (!gate.guarded) refuseToBeOpen(options);
  const endings = createEndings();
  try {
    return { ...(await start(options, gate, endings)), close: endings.run };
  } catch (error) {
    // What made the start fail says more than what goes wrong with its end.
    await endings.run().catch(() => {});
    throw error;
  }
}

/** Begins everything, what others need first. */
async function start(
  options: ServerOptions,
  gate: ReturnType<typeof createGate>,
  endings: Endings,
): Promise<Record<"listen" | "xds", Address>> {
  const { log } = options;
  const store = openStore(options.store, options);
  endings.add(() => store.close());
  options.opened?.();

  const replicas = openReplicas(options, gate);
  const { name: replica, leader, peers, relay } = replicas;
  endings.add(replicas.close);

  const registrations = openRegistrations(options, replicas);
  const { registry } = registrations;
  endings.add(registrations.close);

  const sources = createSources(options);
  const { podLoads } = sources;
  const sees = recordedSees(gate.partial);
  const served = openFleet(options, { gate, store, replicas, registry, podLoads, sees });
  const { fleet, reports } = served;

  const everyone = { list: () => wholeFleet({ fleet, peers }), onChange: fleet.onChange };
  const reportAccess = { tokenFor: gate.reports?.meshToken, ...gate.tls };
  const controller =
    options.cluster &&
    openController(store, leader, { ...options.cluster, reportAccess }, everyone, log);
  endings.add(() => controller?.close());

  const scoped = {
    fleet,
    peers,
    published: served.published,
    scope: fleet.scope,
    mesh: () => controller?.filters,
    spoken: reports.namespaces,
  };
  const rollouts = openRollouts(options, {
    store,
    replicas,
    served,
    scoped,
    sources,
    registry,
    sees,
  });

  const stop = new AbortController();
  const ports = openPorts(options, {
    gate,
    store,
    served,
    context: {
      ...scoped,
      store: guardStore(store),
      hosts: async () =>
        routesByHost((await store.list()).routes.flatMap(({ route }) => route ?? [])),
      ledger: reports.ledger,
      replica,
      relay,
      registry,
      followRoutes: async () => registry.follow((await store.list()).routes),
      monotonicMs: options.monotonicMs ?? (() => performance.now()),
      onReport: reports.take,
      loads: reports.loads,
      signals: reports.signals,
      rollouts,
      sources: sources.known,
      render: renderManifests,
    },
    goingAway: stop.signal,
  });
  endings.add(ports.close);
  // Streams end before the connections that they use, and after what is on its way was answered.
  endings.add(peers.close);
  endings.add(served.xds.close);
  endings.add(ports.answerLastCalls);
  endings.add(served.close);

  const listen = await ports.listenForCalls();
  await served.publish(listen);
  const xds = await ports.listenForProxies();

  const { signals } = reports;
  endings.add(startOwnWork({ store, rollouts, signals, log }).close);
  endings.add(() =>
    stop.abort(new ConnectError("the control service is shutting down", Code.Unavailable)),
  );
  void served.follow(store.watch((await store.list()).sequence, stop.signal));
  return { listen, xds };
}

/** What a rollout or the audit keeps of a proxy's words its route's readers see: where namespaces are kept apart, words of that one. */
function recordedSees(apart: boolean) {
  return (namespace: string, route: string) => !apart || route.startsWith(`${namespace}/`);
}
