import { setTimeout as sleep } from "node:timers/promises";
import { generator } from "../random.ts";
import { hostOf, startPerson } from "./actors/people.ts";
import { startTraffic } from "./actors/traffic.ts";
import { startWalker } from "./actors/walker.ts";
import { startWatching } from "./actors/watching.ts";
import { disturbancesFor } from "./disturbances/index.ts";
import { pass } from "./fair-clock.ts";
import type { Figures } from "./figures.ts";
import { finish } from "./finish.ts";
import { createAnswers } from "./invariants/answers.ts";
import { createDataPlane } from "./invariants/data-plane.ts";
import { createNewestState } from "./invariants/newest-state.ts";
import { collectViolations, type Violation } from "./invariants/violation.ts";
import { createJournal } from "./journal.ts";
import { quiet } from "./namespaces.ts";
import type { RunOptions } from "./options.ts";
import { planOf, type Step } from "./plan.ts";
import { createSampling } from "./sampling.ts";
import { type Started, startAll, steady, walked } from "./start.ts";
import type { Disturbance, World } from "./world.ts";

export interface Outcome {
  violations: Violation[];
  figures: Figures;
  /** What was done last before the first violation, or before the end. */
  lastEvents: string[];
}

/** Every healthy proxy runs the newest state within this time, and every probe is answered. */
const boundMs = 5_000;
const checkMs = 250;
const persons = 2;
const tailLines = 40;
/** What else goes wrong because of the first violation is looked at for so long. */
const afterFirstMs = 3_000;

/** Runs a plan against a control service of its own, and watches the invariants all along. */
export async function runNeighbours(options: RunOptions): Promise<Outcome> {
  const { seed, seconds, store, slow } = options;
  const journal = createJournal(options.echo);
  let firstMs: number | undefined;
  let lastEvents: string[] | undefined;
  const { violated, all } = collectViolations((violation) => {
    firstMs ??= performance.now();
    const { invariant, who, what } = violation;
    journal.say(`VIOLATED ${invariant}: ${who}: ${what}`);
    lastEvents ??= journal.tail(tailLines);
  });
  let answers: ReturnType<typeof createAnswers> | undefined;
  const started = await startAll({
    store,
    seed,
    journal,
    violated,
    healthy: options.healthy,
    onEnd: (how) => answers?.ended(how),
  });
  try {
    const { clock, states, fleet, service, writing, writes, calls, envoys, stops } = started;
    answers = createAnswers(clock.ms, boundMs * slow, violated);
    const newest = createNewestState({
      states,
      nowMs: clock.ms,
      boundMs: boundMs * slow,
      violated,
    });
    const dataPlane = createDataPlane(violated);
    await untilServed(started);

    const watching = startWatching({ calls, writes, writing, states, answered: answers.answered });
    const caller = (namespace: string, name: string, callers: number) => ({
      route: `${namespace}/${name}`,
      host: hostOf(namespace, name),
      callers,
    });
    const traffic = startTraffic({
      gateway: started.gateway,
      called: [
        ...quiet.map((namespace) => caller(namespace, "chat", 3)),
        caller(walked.namespace, walked.name, 6),
        {
          ...caller(quiet[1], "steady", 3),
          share: () => canaryShare(states.latest(steady)?.print),
        },
      ],
      isRestarting: () => envoys.some((envoy) => envoy.isRestarting()),
      dataPlane,
      random: generator(seed + 2),
    });
    const people = Array.from({ length: persons }, (_, i) =>
      startPerson({
        calls,
        writing,
        endpoints: started.endpoints,
        random: generator(seed + 10 + i),
        everyMs: options.writeEveryMs,
      }),
    );
    const walks = startWalker({
      calls,
      writing,
      journal,
      ...walked,
      random: generator(seed + 3),
      violated,
    });
    let opened = 0;
    const sampling = createSampling({
      started,
      walks,
      connections: () => opened + fleet.size() + 2,
      violated,
    });
    /** Routes that nothing may hold. */
    const free = () =>
      states.routes().filter((route) => quiet.some((ns) => route.startsWith(`${ns}/`)));
    const checking = setInterval(() => {
      newest.check([...fleet.seen(free()), ...envoys.map((envoy) => envoy.seen(free()))]);
      answers?.check();
    }, checkMs);
    stops.push(() => clearInterval(checking));

    const world: World = {
      ...started,
      walks,
      journal,
      pass: (ms) => pass(clock, ms),
      opened: (count) => {
        opened += count;
      },
      closed: (count) => {
        opened -= count;
      },
    };
    const isOver = () => firstMs !== undefined && performance.now() - firstMs > afterFirstMs;
    const list = disturbancesFor(store, options.only);
    const plan = planOf(seed, seconds * 1_000, list);
    journal.say(`seed ${seed}, ${store}, ${plan.steps.length} disturbances in ${seconds} s`);
    const counts = await follow(plan.steps, plan.forMs, list, world, isOver);
    clearInterval(checking);
    const figures = await finish({
      options,
      started,
      world,
      walks,
      people,
      watching,
      traffic,
      dataPlane,
      sampling,
      newest,
      violated,
      counts,
      isOver: () => firstMs !== undefined,
      boundMs: boundMs * slow,
      serviceSaid: service.said,
    });
    figures.violations = all().length;
    return { violations: all(), figures, lastEvents: lastEvents ?? journal.tail(tailLines) };
  } finally {
    answers = undefined;
    await started.close();
  }
}

/** Does what the plan says when its time comes; resolves when all of it has ended. */
async function follow(
  steps: readonly Step[],
  forMs: number,
  list: readonly Disturbance[],
  world: World,
  isOver: () => boolean,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const startMs = performance.now();
  const passedMs = () => performance.now() - startMs;
  const acting = new Set<Promise<void>>();
  // Those that end the service wait for each other, also when one took longer than planned.
  let turn: Promise<unknown> = Promise.resolve();
  for (const step of steps) {
    while (passedMs() < step.atMs && !isOver()) await sleep(20);
    if (isOver()) break;
    const disturbance = list.find(({ name }) => name === step.name);
    if (disturbance === undefined) continue;
    const act = async () => {
      if (isOver()) return;
      world.journal.say(`${step.name} begins`);
      counts[step.name] = (counts[step.name] ?? 0) + 1;
      await disturbance.act(world, generator(step.seed)).catch((error: unknown) => {
        world.journal.say(`${step.name} could not go on: ${error}`);
      });
      world.journal.say(`${step.name} ends`);
    };
    const done = disturbance.alone ? turn.then(act) : act();
    if (disturbance.alone) turn = done;
    acting.add(done);
    void done.then(() => acting.delete(done));
  }
  while (passedMs() < forMs && !isOver()) await sleep(50);
  while (acting.size > 0 && !isOver()) await sleep(50);
  return counts;
}

/** Waits until the real Envoys serve every route, so that what fails later has failed. */
async function untilServed({ envoys, fleet, states }: Started): Promise<void> {
  const routes = states.routes();
  const deadline = performance.now() + 60_000;
  const inStep = () =>
    envoys.every((envoy) => {
      const { connectedMs, runs } = envoy.seen(routes);
      return (
        connectedMs !== undefined &&
        routes.every((route) => runs(route) === states.latest(route)?.print)
      );
    }) && fleet.healthy().every(({ runs }) => runs.size > 0);
  while (!inStep()) {
    if (performance.now() > deadline) throw new Error("the fleet did not come up within 60 s");
    await sleep(100);
  }
  // A listener takes requests a moment after its configuration is there.
  await sleep(500);
}

function canaryShare(print: string | undefined): number | undefined {
  if (print === undefined) return undefined;
  return [...print.matchAll(/canary:(\d+)/g)].reduce((sum, [, n]) => sum + Number(n), 0) / 10_000;
}
