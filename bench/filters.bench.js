// CPU that filters add to a request in a real Envoy. All arms are listeners of
// one Envoy with one worker; its time on the processor is read from schedstat
// around each slice of requests, arms in turn, order reversed every other round.
// Slices are short and many: what disturbs a machine that others use as well lasts
// longer than a round, so a slice is held against the others of its round.
import { findEnvoy, startEnvoy } from "#control/envoy/index.js";
import { arms as allArms } from "./filters/arms.js";
import { benchBootstrap } from "./filters/bootstrap.js";
import { createDriver } from "./filters/drive.js";
import { checkEffects } from "./filters/effects.js";
import { buildModules } from "./filters/modules.js";
import { openStreamsTo, startEndless } from "./filters/open-streams.js";
import { tables } from "./filters/tables.js";
import { keepApart, workerClock } from "./filters/worker-cpu.js";
import { inTurn } from "./rounds.js";

const rounds = Number(process.env.BENCH_ROUNDS ?? 400);
const requestsPerSlice = 400;
const warmUp = 10_000;
const firstPort = 21_100;

export async function run() {
  console.log(await report());
}

/** @returns {Promise<string>} as Markdown */
async function report() {
  const endless = await startEndless();
  /** @type {Awaited<ReturnType<typeof startEnvoy>> | undefined} */
  let envoy;
  /** @type {{ close(): void }[]} */
  const held = [];
  try {
    console.log("building the modules it is measured against");
    const arms = allArms(await buildModules()).map((arm, i) => ({
      ...arm,
      port: firstPort + i,
    }));
    const admin = { host: "127.0.0.1", port: firstPort + arms.length };
    envoy = await startEnvoy({
      binary: await findEnvoy(console.log),
      bootstrap: benchBootstrap(arms, admin, endless.port),
      admin,
      concurrency: 1,
      logLevel: "error",
    });
    console.log("checking that each of them does the work");
    for (const arm of arms) await checkEffects(arm, arm.port);
    keepApart(envoy.pid);
    for (const { open, port } of arms) if (open) held.push(await openStreamsTo(port, open));
    console.log(`measuring ${arms.length} of them over ${rounds} rounds`);
    return tables(arms, await measure(arms, workerClock(envoy.pid)), requestsPerSlice);
  } finally {
    for (const streams of held) streams.close();
    await envoy?.stop();
    endless.stop();
  }
}

/**
 * Microseconds of CPU per request, by round and arm.
 * @param {readonly { name: string, port: number }[]} arms
 * @param {() => number} clock
 */
async function measure(arms, clock) {
  const driven = arms.map(({ name, port }) => ({ name, driver: createDriver(port) }));
  for (const { driver } of driven) await driver.send(warmUp);
  const measured = await inTurn(rounds, driven, async ({ driver }) => {
    const before = clock();
    await driver.send(requestsPerSlice);
    return (clock() - before) / requestsPerSlice / 1000;
  });
  for (const { driver } of driven) driver.close();
  return measured;
}
