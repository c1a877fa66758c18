import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import type { RolloutState } from "../../control/gen/weir/v1/rollout_pb.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { freePorts } from "../free-ports.ts";
import { type EtcdCluster, startEtcd } from "../store/etcd-cluster.ts";
import { type FakeProxy, startFakeProxy } from "./fake-proxy.ts";
import { startReporter } from "./reporter.ts";
import { rolloutOf, routeWithPods } from "./world.ts";

export interface Replica extends ApiClients {
  child: ChildProcess;
  runs(): boolean;
  /** Whether it says that it leads. */
  leads(): boolean;
  /** Resolves with its exit code; null when a signal ended it. */
  ended: Promise<number | null>;
}

/** Replicas on one etcd that follow each other, and a proxy that connects and reports to any that runs. */
export interface Replicated {
  etcd: EtcdCluster;
  replicas: Replica[];
  proxy: FakeProxy;
  /** Starts the replica in a place. */
  start(place: number, env?: NodeJS.ProcessEnv): Promise<Replica>;
  /** The one that leads. */
  leader(): Promise<Replica>;
  /** Any that runs. */
  any(): Replica;
  /** State of the rollout as a running one tells it. */
  state(): ReturnType<typeof stateOf>;
  /** Actions and steps of the rollout's audit, oldest first. */
  taken(): Promise<[action: string, step: number | undefined][]>;
}

const stateOf = async (replica: Replica) =>
  (await replica.rollouts.getRollout({ name: "chat" })).progress?.state;

/** The three steps of `startWalk`, as the audit tells them when nothing is lost or doubled. */
export const everyStep = [
  ["rollout-start", 0],
  ["rollout-step", 1],
  ["rollout-step", 2],
  ["rollout-step", 3],
  ["rollout-end", 3],
];

/** @param places number of replicas that there may be */
export async function startReplicated(places: number): Promise<Replicated> {
  const etcd = await startEtcd();
  onTestFinished(() => etcd.close());
  const ports = await freePorts(places * 2);
  const api = (place: number) => `127.0.0.1:${ports[place * 2]}`;
  const xds = (place: number) => ports[place * 2 + 1] ?? 0;
  const all = Array.from({ length: places }, (_, place) => place);
  const replicas: Replica[] = [];

  async function start(place: number, env: NodeJS.ProcessEnv = {}) {
    const flags = [
      ...["--store", etcd.address("weir")],
      ...["--listen", api(place), "--xds", `127.0.0.1:${xds(place)}`],
      ...all.flatMap((other) => ["--peer", api(other)]),
    ];
    const child = spawn(process.execPath, ["dist/control/main.js", "serve", ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...env },
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    const runs = () => child.exitCode === null && child.signalCode === null;
    const up = () =>
      fetch(`http://${api(place)}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await expect.poll(up, { timeout: 60_000 }).toBe(true);
    const replica: Replica = {
      ...clientsOf(`http://${api(place)}`, { timeoutMs: 10_000 }),
      child,
      runs,
      leads: () =>
        runs() &&
        said.lastIndexOf(" is now the leader") > said.lastIndexOf(" is no longer the leader"),
      ended,
    };
    replicas[place] = replica;
    return replica;
  }

  const any = () => {
    const found = replicas.findLast((replica) => replica?.runs());
    if (found === undefined) throw new Error("no replica runs");
    return found;
  };
  const proxy = startFakeProxy(all.map(xds), "edge");
  onTestFinished(() => proxy.close());
  const answering = () =>
    Math.max(
      0,
      replicas.findLastIndex((replica) => replica?.runs()),
    );
  const reporter = startReporter(() => `http://${api(answering())}`, "edge", 100);
  Object.defineProperty(reporter, "weight", { get: () => proxy.canaryPercent });
  onTestFinished(() => reporter.stop());
  return {
    etcd,
    replicas,
    proxy,
    start,
    any,
    async leader() {
      const leaders = () => replicas.filter((replica) => replica?.leads());
      await expect.poll(() => leaders().length, { timeout: 30_000 }).toBe(1);
      return leaders()[0] as Replica;
    },
    state: () => stateOf(any()),
    async taken() {
      const { entries } = await any().audit.listAudit({ name: "chat", limit: 100 });
      return entries
        .filter(({ action }) => action.startsWith("rollout-"))
        .map(({ action, rolloutAfter }): [string, number | undefined] => [
          action,
          rolloutAfter?.step,
        ])
        .reverse();
    },
  };
}

/** Starts a rollout of three steps, each to be proven for so long. */
export async function startWalk({ any }: Replicated, hold: string): Promise<void> {
  await any().routes.applyRoute({ route: routeWithPods(9001, 9002) });
  await any().rollouts.startRollout({
    rollout: rolloutOf({
      steps: [{ weight: 20 }, { weight: 50 }, { weight: 100 }],
      hold,
      analysis: { minimumSample: 20, checks: [{ metric: "success-rate", tolerance: 5 }] },
    }),
  });
}

/** Waits for a step, and tells when it was seen. */
export async function untilStep(world: Replicated, step: number): Promise<number> {
  await until(world, (state) => state.step >= step);
  return performance.now();
}

/** Waits for the end of the rollout. */
export function untilDone(world: Replicated): Promise<void> {
  return until(world, ({ phase }) => phase === "succeeded");
}

async function until(world: Replicated, wanted: (state: RolloutState) => boolean): Promise<void> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    // None may answer for a moment.
    const state = await world.state().catch(() => undefined);
    if (state && wanted(state)) return;
    if (Date.now() > deadline) {
      const { progress } = await world.any().rollouts.getRollout({ name: "chat" });
      throw new Error(`${state?.phase}: ${state?.reason}; ${progress?.waitingFor.join("; ")}`);
    }
    await sleep(50);
  }
}
