import { type ChildProcess, spawn } from "node:child_process";
import { expect, it, onTestFinished } from "vitest";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { freePorts } from "../free-ports.ts";
import { startEtcd } from "../store/etcd-cluster.ts";
import { startFakeProxy } from "./fake-proxy.ts";
import { type Reporter, startReporter } from "./reporter.ts";
import { rolloutOf, routeWithPods } from "./world.ts";

/** A replica of the control service in a process of its own, with one proxy that reports to it. */
interface Replica extends ApiClients {
  reporter: Reporter;
  child: ChildProcess;
  /** Whether it says that it leads. */
  leads(): boolean;
  /** Rollout steps that it says to have taken. */
  steps(): number;
}

async function startReplica(store: string, id: string): Promise<Replica> {
  const [api = 0, xds = 0] = await freePorts(2);
  const baseUrl = `http://127.0.0.1:${api}`;
  const child = spawn(
    process.execPath,
    [
      ...["dist/control/main.js", "serve", "--store", store],
      ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  onTestFinished(async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said += chunk;
  });
  const up = () =>
    fetch(`${baseUrl}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await expect.poll(up, { timeout: 30_000 }).toBe(true);
  const proxy = startFakeProxy(xds, id);
  onTestFinished(() => proxy.close());
  const reporter = startReporter(() => baseUrl, id, 600);
  onTestFinished(() => reporter.stop());
  return {
    // etcd writes to a disk that others use as well.
    ...clientsOf(baseUrl, { timeoutMs: 60_000 }),
    reporter,
    child,
    leads: () =>
      said.lastIndexOf(" is now the leader") > said.lastIndexOf(" is no longer the leader"),
    steps: () => said.match(/rollout of inference\/chat: (step|end)/g)?.length ?? 0,
  };
}

it("is walked by one replica at a time, and goes on under the other when the leader is stopped and comes back late", {
  timeout: 240_000,
}, async () => {
  const etcd = await startEtcd();
  onTestFinished(() => etcd.close());
  const replicas = [
    await startReplica(etcd.address("weir"), "one"),
    await startReplica(etcd.address("weir"), "two"),
  ];
  const leaders = () => replicas.filter((each) => each.leads());
  await expect.poll(() => leaders().length, { timeout: 30_000 }).toBe(1);
  const old = leaders()[0] as Replica;
  const next = replicas.find((each) => each !== old) as Replica;

  await next.routes.applyRoute({ route: routeWithPods(9001, 9002) });
  await next.rollouts.startRollout({
    rollout: rolloutOf({
      steps: [{ weight: 20 }, { weight: 50 }, { weight: 100 }],
      // Long enough for a slow machine to see each step before the next one.
      hold: "4s",
      bake: "1s",
      analysis: { minimumSample: 20, checks: [{ metric: "success-rate", tolerance: 5 }] },
    }),
  });
  const state = async () => {
    const { progress } = await next.rollouts.getRollout({ name: "chat" });
    for (const { reporter } of replicas) reporter.weight = progress?.state?.weight ?? 0;
    return progress?.state;
  };
  const step = { timeout: 60_000, interval: 50 };
  // Of several replicas that do not follow each other, the one that is asked says who knows more.
  const { progress: asked } = await next.rollouts.getRollout({ name: "chat" });
  expect(asked?.waitingFor).toEqual([
    expect.stringMatching(
      /^the leader \S+, to which this replica has no connection|^a leader: no replica leads/,
    ),
  ]);
  await expect.poll(async () => (await state())?.step, step).toBe(1);
  // The other one saw as much and wrote nothing.
  await expect.poll(() => [old.steps(), next.steps()], step).toEqual([1, 0]);

  old.child.kill("SIGSTOP");
  await expect.poll(async () => (await state())?.step, step).toBe(2);
  await expect.poll(() => [next.leads(), next.steps()], step).toEqual([true, 1]);
  old.child.kill("SIGCONT");
  await expect
    .poll(async () => {
      // The traffic follows the weights meanwhile, too.
      await state();
      return old.leads();
    }, step)
    .toBe(false);
  await expect.poll(async () => (await state())?.phase, step).toBe("succeeded");
  // What the old leader had in mind it has written once it sees the end, and writes after it.
  const phaseAtOld = async () =>
    (await old.rollouts.getRollout({ name: "chat" })).progress?.state?.phase;
  await expect.poll(phaseAtOld, step).toBe("succeeded");
  const { state: shifted } = await old.routes.shiftWeights({
    name: "chat",
    weights: { canary: 1 },
  });
  expect(shifted?.etag).not.toBe("");
  expect([old.steps(), next.steps()]).toEqual([1, 3]);
  const { entries } = await next.audit.listAudit({ name: "chat", limit: 100 });
  const taken = entries
    .filter(({ principal }) => principal === "rollout")
    .map(({ action, rolloutAfter }) => [action, rolloutAfter?.step])
    .reverse();
  expect(taken).toEqual([
    ["rollout-step", 1],
    ["rollout-step", 2],
    ["rollout-step", 3],
    ["rollout-end", 3],
  ]);
});
