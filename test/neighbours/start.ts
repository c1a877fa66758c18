import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "../free-ports.ts";
import { generator } from "../random.ts";
import { startEtcd } from "../store/etcd-cluster.ts";
import { startRealEnvoy } from "./actors/envoys.ts";
import { createEmulatedFleet } from "./actors/fleet.ts";
import { routeOf } from "./actors/people.ts";
import { startHealthyPod } from "./actors/pod.ts";
import { startRelay } from "./actors/relay.ts";
import { createWriting } from "./actors/writing.ts";
import { startFairClock } from "./fair-clock.ts";
import { createIsolation } from "./invariants/isolation.ts";
import type { Violated } from "./invariants/violation.ts";
import { createWrites } from "./invariants/writes.ts";
import type { Journal } from "./journal.ts";
import { accessFile, namespaces, quiet, rude, tokenOf } from "./namespaces.ts";
import type { StoreKind } from "./options.ts";
import { callsTo, createService } from "./service.ts";
import { createStates } from "./states.ts";

export interface StartOptions {
  store: StoreKind;
  seed: number;
  journal: Journal;
  violated: Violated;
  /** The service ended though nobody told it to. */
  onEnd(how: string): void;
  /** Healthy proxies of each quiet team. */
  healthy: number;
}

/** Routes whose weights nobody changes: what is split there is known at any time. */
export const steady = `${quiet[1]}/steady`;
/** The route that rollouts walk. */
export const walked = { namespace: quiet[0], name: "walked" };
const prefix = "weir";

/** Everything that runs, started from nothing; `close` ends all of it, also when only a part came up. */
export async function startAll(options: StartOptions) {
  const { seed, journal, violated, onEnd } = options;
  const stops: (() => unknown)[] = [];
  const close = async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    const directory = mkdtempSync(join(tmpdir(), "weir-neighbours-"));
    stops.push(() => rmSync(directory, { recursive: true, force: true }));
    const access = join(directory, "access.yaml");
    writeFileSync(access, accessFile());
    const etcd = options.store === "etcd" ? await startEtcd() : undefined;
    if (etcd) stops.push(() => etcd.close());
    const lmdb = join(directory, "store");
    const [api = 0, xds = 0, gateway = 0] = await freePorts(3);
    const store = etcd ? etcd.address(prefix) : `lmdb:${lmdb}`;
    const service = createService({ api, xds, gateway, store, access, directory, onEnd });
    stops.push(() => service.end("SIGKILL"));
    await service.start();
    journal.say("the service is ready");

    const clock = startFairClock(service);
    stops.push(() => clock.close());
    const states = createStates(clock.ms);
    const isolation = createIsolation(namespaces, violated);
    const fleet = createEmulatedFleet({
      xdsPort: xds,
      tokenOf,
      clock,
      states,
      isolation,
    });
    stops.push(() => fleet.close());
    const writes = createWrites({ refused: fleet.refused }, violated);
    const writing = createWriting({ states, writes, journal });
    const calls = callsTo(service);

    const pods = [await startHealthyPod("stable"), await startHealthyPod("canary")];
    for (const pod of pods) stops.push(() => pod.close());
    const endpoints = pods.map(({ port }) => `127.0.0.1:${port}`);
    const routes = [
      ...namespaces.map((namespace) => [namespace, "chat"] as const),
      [walked.namespace, walked.name] as const,
      steady.split("/") as [string, string],
    ];
    for (const [namespace, name] of routes)
      await writing.write(`${namespace}/${name}`, "first", (reason) =>
        calls.routes.applyRoute({ route: routeOf(namespace, name, endpoints), reason }),
      );

    const random = generator(seed);
    const manners = (i: number) => ({
      protocol: i % 2 === 0 ? ("sotw" as const) : ("delta" as const),
      againMs: 200 + Math.floor(random() * 400),
    });
    for (let i = 0; i < options.healthy; i++) {
      for (const namespace of quiet)
        fleet.startHealthy(`${namespace}-${i}`, [namespace], manners(i));
      if (i % 3 > 0) continue;
      for (const namespace of rude)
        fleet.startHealthy(`${namespace}-${i}`, [namespace], manners(i));
      fleet.startHealthy(`wide-${i}`, ["*"], manners(i / 3));
    }
    const relay = await startRelay(xds);
    stops.push(() => relay.close());
    const envoys = [
      await startRealEnvoy("edge-1", relay.port, clock.ms),
      await startRealEnvoy("edge-2", relay.port, clock.ms),
    ];
    journal.say(`${fleet.size()} proxies and ${envoys.length} Envoys have started`);
    for (const envoy of envoys) stops.push(() => envoy.stop());
    return {
      service,
      clock,
      states,
      isolation,
      fleet,
      writes,
      writing,
      calls,
      relay,
      envoys,
      endpoints,
      gateway: `http://127.0.0.1:${gateway}`,
      /** File of the store; an etcd tells its size itself. */
      lmdb,
      prefix,
      ...(etcd ? { etcd } : {}),
      /** Further things to end, last first. */
      stops,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export type Started = Awaited<ReturnType<typeof startAll>>;
