import { setTimeout as sleep } from "node:timers/promises";
import type { startPerson } from "./actors/people.ts";
import type { startTraffic } from "./actors/traffic.ts";
import type { Walks } from "./actors/walker.ts";
import { readAudit, type startWatching, storedEtags } from "./actors/watching.ts";
import { type Figures, quantile } from "./figures.ts";
import type { createDataPlane } from "./invariants/data-plane.ts";
import { checkIdle } from "./invariants/idle.ts";
import type { createNewestState } from "./invariants/newest-state.ts";
import type { Violated } from "./invariants/violation.ts";
import { namespaces } from "./namespaces.ts";
import type { RunOptions } from "./options.ts";
import type { Sampling } from "./sampling.ts";
import type { Started } from "./start.ts";
import type { World } from "./world.ts";

export interface FinishOptions {
  options: RunOptions;
  started: Started;
  world: World;
  walks: Walks;
  people: readonly ReturnType<typeof startPerson>[];
  watching: ReturnType<typeof startWatching>;
  traffic: ReturnType<typeof startTraffic>;
  dataPlane: ReturnType<typeof createDataPlane>;
  sampling: Sampling;
  newest: ReturnType<typeof createNewestState>;
  violated: Violated;
  /** How often each disturbance was. */
  counts: Record<string, number>;
  /** Whether something was violated already: then there is nothing to wait for. */
  isOver(): boolean;
  boundMs: number;
  serviceSaid(): string;
}

/** How long nothing must happen. */
const idleMs = 4_000;
/** Clusters that are gone stay for two seconds with proxies that may name them; then all is still. */
const stillMs = 3_000;
const stillWithinMs = 20_000;
/** Whoever does not come to an end is left alone. */
const patienceMs = 90_000;
const patienceWhenOverMs = 2_000;

/** Ends what people do, waits until all is settled, and judges what only the end can show. */
export async function finish(given: FinishOptions): Promise<Figures> {
  const { started, walks, people, watching, traffic, sampling, violated, isOver } = given;
  const { clock, fleet, writes, writing, calls, service, states, journal } = {
    ...started,
    journal: given.world.journal,
  };
  const inTime = (work: Promise<unknown>) =>
    Promise.race([
      work,
      sleep(isOver() ? patienceWhenOverMs : patienceMs, undefined, { ref: false }),
    ]);
  await inTime(Promise.all(people.map((person) => person.stop())));
  await inTime(walks.stop());

  // With everyone gone who may hold a write, all proxies get all of them, the bystanders in rude teams too.
  if (!isOver()) {
    journal.say("the last shifts");
    for (const [i, namespace] of namespaces.entries())
      await writing.write(`${namespace}/chat`, "last shift", (reason) =>
        calls.routes.shiftWeights({
          name: `${namespace}/chat`,
          weights: { canary: 31 + i },
          reason,
        }),
      );
    await settled(given);
  }
  await inTime(traffic.stop());
  await inTime(watching.stop());
  if (!isOver()) {
    journal.say("nobody does anything");
    await still(fleet.counts);
    const before = { ms: performance.now(), cpu: service.cpuMs(), sent: fleet.counts.responses };
    await readAudit(calls, writes);
    const written = writes.lastSequence();
    await sleep(idleMs);
    const quietly = {
      overMs: performance.now() - before.ms,
      cpuMs: service.cpuMs() - before.cpu,
      sent: fleet.counts.responses - before.sent,
    };
    await readAudit(calls, writes);
    checkIdle({ ...quietly, written: Number(writes.lastSequence() - written) }, violated);
    writes.end(await storedEtags(calls));
    given.dataPlane.check();
    for (const envoy of started.envoys)
      if ((await envoy.served()) === 0)
        violated({ invariant: "data-plane", who: envoy.node, what: "served no request at all" });
  }
  sampling.stop();
  const { seen } = sampling;
  if (isOver()) journal.say(`the service said last:\n${given.serviceSaid().slice(-1_500)}`);
  return {
    store: given.options.store,
    seed: given.options.seed,
    seconds: given.options.seconds,
    proxies: fleet.size() + started.envoys.length,
    writes: {
      sent: writes.count(),
      acknowledged: writes.of("acknowledged"),
      refused: writes.of("refused"),
      unknown: writes.of("unknown"),
    },
    rollouts: {
      started: walks.started,
      succeeded: walks.succeeded,
      takenBackByPeople: walks.takenBackByPeople,
      resumed: walks.resumed,
    },
    rolloutWrites: writes.steps(),
    takenBack: writes.takenBack(),
    auditEntries: Number(writes.lastSequence()),
    ...fleet.counts,
    restarts: service.restarts(),
    requests: {
      sent: traffic.counts.requests,
      streams: traffic.counts.streams,
      failed: given.dataPlane.failures(),
      retriedInRestart: traffic.counts.excused,
    },
    lagMs: {
      p50: quantile(fleet.lagsMs, 0.5),
      p99: quantile(fleet.lagsMs, 0.99),
      max: quantile(fleet.lagsMs, 1),
    },
    rssMiB: {
      start: Math.round(seen.startMiB),
      max: Math.round(seen.maxMiB),
      end: service.isUp() ? Math.round(service.rssMiB()) : 0,
    },
    maxDescriptors: seen.maxDescriptors,
    storeBytes: seen.storeBytes,
    stalledMs: Math.round(clock.stalledMs()),
    disturbances: given.counts,
    violations: 0,
  };

  /** All healthy proxies run the newest of all routes, or what they lack is told. */
  async function settled({ newest, boundMs }: FinishOptions): Promise<void> {
    const seen = () => {
      const routes = states.routes();
      return [...fleet.seen(routes), ...started.envoys.map((envoy) => envoy.seen(routes))];
    };
    const untilMs = clock.ms() + boundMs + 1_000;
    const inStep = () =>
      seen().every(
        ({ connectedMs, routes, runs }) =>
          connectedMs !== undefined &&
          routes.every((route) => (runs(route) ?? "absent") === states.latest(route)?.print),
      );
    while (clock.ms() < untilMs && !inStep() && !isOver()) await sleep(50);
    newest.check(seen());
  }
}

/** Waits until proxies were sent nothing for a while, not for ever. */
async function still(counts: { responses: number }): Promise<void> {
  const deadline = performance.now() + stillWithinMs;
  let sent = -1;
  while (performance.now() < deadline && sent !== counts.responses) {
    sent = counts.responses;
    await sleep(stillMs);
  }
}
