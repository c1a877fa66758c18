// CPU that token-limit.wasm adds to an event of a stream, in a real Envoy with
// one worker: the same streams through a listener without it, with it for a
// tenant who is measured, and for one who is limited. Arms in turn, order
// reversed every other round, time on the processor read around each.
import { request } from "node:http";
import { findEnvoy, startEnvoy } from "#control/envoy/index.js";
import { keepApart, workerClock } from "./filters/worker-cpu.js";
import { inTurn, medianOf } from "./rounds.js";
import { eventBytes, startStreamer } from "./tokens/pod.js";
import { wasmBootstrap } from "./wasm-bootstrap.js";

const rounds = Number(process.env.BENCH_ROUNDS ?? 30);
const streams = 100;
const eventsPerStream = 60;
const gapMs = 5;
const firstPort = 21_300;
/** A policy under which nothing is refused: the tier without a limit is only measured. */
const configuration = JSON.stringify({
  revision: "bench",
  routes: [
    {
      name: "inference/chat",
      hosts: ["chat.example.com"],
      tokenLimit: {
        identity: [{ header: "x-tenant-id" }],
        tiers: { limited: { tokensPerMinute: "1000000000" }, measured: {} },
        tenants: { acme: "limited" },
        default: "measured",
        variants: ["stable"],
      },
    },
  ],
});

const filters = [{ module: "build/token-limit.wasm", configuration }];

const arms = [
  { name: "none", port: firstPort, tenant: "acme", filters: [] },
  { name: "measured", port: firstPort + 1, tenant: "someone", filters },
  { name: "limited", port: firstPort + 1, tenant: "acme", filters },
];

export async function run() {
  const pod = await startStreamer();
  const adminPort = firstPort + 2;
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: wasmBootstrap(arms.slice(0, 2), adminPort, pod.port),
    admin: { host: "127.0.0.1", port: adminPort },
    concurrency: 1,
    logLevel: "error",
  });
  try {
    keepApart(envoy.pid);
    const clock = workerClock(envoy.pid);
    for (const arm of arms) await slice(arm);
    const measured = await inTurn(rounds, arms, async (arm) => {
      const before = clock();
      await slice(arm);
      return (clock() - before) / 1000 / (streams * eventsPerStream);
    });
    console.log(
      `us of CPU per event of ${eventBytes} bytes, ${streams} streams of ${eventsPerStream} events ${gapMs} ms apart, ${rounds} rounds, median with 95 % interval`,
    );
    console.log(`  no filter      ${medianOf(measured, "none")}`);
    for (const { name } of arms.slice(1))
      console.log(`  ${name.padEnd(8)} adds ${medianOf(measured, name, "none")}`);
  } finally {
    await envoy.stop();
    pod.stop();
  }
}

/** All streams of one slice, to their ends. @param {{ port: number, tenant: string }} arm */
function slice(arm) {
  return Promise.all(Array.from({ length: streams }, () => stream(arm)));
}

/** @param {{ port: number, tenant: string }} arm */
function stream({ port, tenant }) {
  return new Promise((resolve, reject) => {
    const body = '{"stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hello"}]}';
    const path = `/v1/chat/completions?events=${eventsPerStream}&gap=${gapMs}`;
    const headers = {
      host: "chat.example.com",
      "x-tenant-id": tenant,
      "content-type": "application/json",
      "content-length": body.length,
    };
    const call = request({ host: "127.0.0.1", port, path, method: "POST", headers }, (answer) => {
      let bytes = 0;
      answer.on("data", (/** @type {Buffer} */ chunk) => {
        bytes += chunk.length;
      });
      answer.on("error", reject);
      answer.on("end", () => {
        if (answer.statusCode !== 200 || bytes < eventsPerStream * eventBytes)
          reject(new Error(`unexpected answer: ${answer.statusCode}, ${bytes} bytes`));
        else resolve(undefined);
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}
