// CPU that filters add to a request in a real Envoy. All arms are listeners of
// one Envoy with one worker; its time on the processor is read from schedstat
// around each slice of requests, arms in turn, order reversed every other round.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { findEnvoy, startEnvoy } from "../dist/control/envoy/index.js";
import { compileFilter } from "../tools/compile-filter.js";
import { benchBootstrap } from "./filters/bootstrap.js";
import { interval, median, show } from "./statistics.js";

const rounds = Number(process.env.BENCH_ROUNDS ?? 40);
const requestsPerSlice = 4000;
const connections = 8;
const firstPort = 21_100;

const headers = [
  "GET /v1/models HTTP/1.1",
  "host: chat.example.com",
  "user-agent: openai-python/3.52",
  "accept: application/json",
  "accept-encoding: gzip",
  "x-tenant-id: acme",
  "x-user-id: ada",
  "content-type: application/json",
];
const request = Buffer.from(`${headers.join("\r\n")}\r\n\r\n`);

export async function run() {
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  /** @type {Awaited<ReturnType<typeof startEnvoy>> | undefined} */
  let envoy;
  try {
    for (const name of ["empty", "bare"])
      await compileFilter(`bench/filters/${name}.ts`, join(directory, `${name}.wasm`));
    const arms = {
      none: [],
      empty: [join(directory, "empty.wasm")],
      bare: [join(directory, "bare.wasm")],
      weir: ["build/weir.wasm"],
      chained: ["rate-limit", "shadow", "canary", "compression"].map(
        (name) => `build/${name}.wasm`,
      ),
    };
    const names = /** @type {(keyof typeof arms)[]} */ (Object.keys(arms));
    const admin = { host: "127.0.0.1", port: firstPort + names.length };
    envoy = await startEnvoy({
      binary: await findEnvoy(console.log),
      bootstrap: benchBootstrap(
        names.map((name, i) => ({ port: firstPort + i, modules: arms[name] })),
        admin,
      ),
      admin,
      concurrency: 1,
      logLevel: "error",
    });
    keepApart(envoy.pid);
    await report(names, await measure(names, workerOf(envoy.pid)));
  } finally {
    await envoy?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param {readonly string[]} names @param {string} worker */
async function measure(names, worker) {
  for (const [i] of names.entries()) await drive(firstPort + i, requestsPerSlice * 3);
  /** @type {Record<string, number>[]} */
  const measured = [];
  for (let round = 0; round < rounds; round++) {
    /** @type {Record<string, number>} */
    const perRequest = {};
    const order = names.map((name, i) => ({ name, port: firstPort + i }));
    for (const { name, port } of round % 2 ? order.reverse() : order) {
      const before = onCpuNs(worker);
      await drive(port, requestsPerSlice);
      perRequest[name] = (onCpuNs(worker) - before) / requestsPerSlice / 1000;
    }
    measured.push(perRequest);
  }
  return measured;
}

/** @param {readonly string[]} names @param {Record<string, number>[]} measured */
async function report(names, measured) {
  /** @param {readonly Record<string, number>[]} drawn @param {string} arm */
  const added = (drawn, arm) => median(drawn.map((round) => (round[arm] ?? 0) - (round.none ?? 0)));
  console.log(
    `us of CPU per request over ${rounds} rounds of ${requestsPerSlice}, median with 95 % interval`,
  );
  console.log(
    `  no filter     ${show(interval(measured, (drawn) => median(drawn.map((round) => round.none ?? 0))))}`,
  );
  for (const arm of names.slice(1))
    console.log(
      `  ${arm.padEnd(8)} adds ${show(interval(measured, (drawn) => added(drawn, arm)))}`,
    );
  for (const other of ["bare", "chained", "empty"]) {
    const ratio = interval(measured, (drawn) => added(drawn, "weir") / added(drawn, other));
    console.log(`  weir / ${other.padEnd(8)} ${show(ratio)}`);
  }
}

/** Gives Envoy and this process a core each, where taskset can; otherwise they disturb each other. @param {number} pid */
function keepApart(pid) {
  if (availableParallelism() < 2) return;
  for (const args of [
    ["-acp", "1", String(pid)],
    ["-acp", "0", String(process.pid)],
  ])
    if (spawnSync("taskset", args).status !== 0)
      console.log("(taskset did not work: expect wide intervals)");
}

/** The worker's directory in proc(5). @param {number} pid */
function workerOf(pid) {
  const tasks = `/proc/${pid}/task`;
  const worker = readdirSync(tasks).find((task) =>
    readFileSync(`${tasks}/${task}/comm`, "utf8").startsWith("wrk:worker_0"),
  );
  if (worker === undefined) throw new Error("envoy has no worker thread");
  return `${tasks}/${worker}`;
}

/** @param {string} task */
function onCpuNs(task) {
  return Number(readFileSync(`${task}/schedstat`, "utf8").split(" ", 1)[0]);
}

/** Sends requests over kept connections and checks that each one was answered with 200. @param {number} port @param {number} count */
async function drive(port, count) {
  await Promise.all(
    Array.from({ length: connections }, () => connection(port, count / connections)),
  );
}

/** @param {number} port @param {number} count */
function connection(port, count) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1");
    let answered = 0;
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      if (!chunk.toString("latin1", 0, 15).startsWith("HTTP/1.1 200")) {
        socket.destroy();
        reject(new Error(`unexpected answer: ${chunk.toString("latin1", 0, 200)}`));
        return;
      }
      if (++answered === count) socket.end(() => resolve(undefined));
      else socket.write(request);
    });
    socket.on("error", reject);
  });
}
