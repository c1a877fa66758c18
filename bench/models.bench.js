// CPU that it costs Envoy's worker to choose a route by the model in the body, against one chosen
// by a header, and against Envoy's own json_to_metadata: bodies of some sizes, the model first or last.
// Arms in turn, order reversed every other round, time on the processor read around each.
import { Agent, createServer, request } from "node:http";
import { findEnvoy, startEnvoy } from "#control/envoy/index.js";
import { keepApart, workerClock } from "./filters/worker-cpu.js";
import { modelsBootstrap } from "./models/bootstrap.js";
import { inTurn, medianOf } from "./rounds.js";

const rounds = Number(process.env.BENCH_ROUNDS ?? 60);
const firstPort = 21_400;
const names = ["header", "route-select", "json_to_metadata"];
const KiB = 1024;
/** Requests of a slice, so that slices of all sizes take about as long. */
const sizes = [
  { name: "2 KiB", bytes: 2 * KiB, requests: 200 },
  { name: "32 KiB", bytes: 32 * KiB, requests: 100 },
  { name: "1 MiB", bytes: KiB * KiB, requests: 8 },
];

export async function run() {
  const pod = await startPod();
  const adminPort = firstPort + names.length;
  const arms = names.map((name, index) => ({ name, port: firstPort + index }));
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: modelsBootstrap(arms, adminPort, pod.port),
    admin: { host: "127.0.0.1", port: adminPort },
    concurrency: 1,
    logLevel: "error",
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  try {
    keepApart(envoy.pid);
    const clock = workerClock(envoy.pid);
    console.log(`us of CPU per request, ${rounds} rounds, median with 95 % interval`);
    for (const size of sizes)
      for (const place of ["first", "last"]) {
        const body = bodyOf(size.bytes, place);
        for (const arm of arms) await slice(agent, arm, body, size.requests);
        const measured = await inTurn(rounds, arms, async (arm) => {
          const before = clock();
          await slice(agent, arm, body, size.requests);
          return (clock() - before) / 1000 / size.requests;
        });
        console.log(`  ${size.name}, model ${place}: by header ${medianOf(measured, "header")}`);
        for (const name of names.slice(1))
          console.log(`    ${name.padEnd(16)} adds ${medianOf(measured, name, "header")}`);
      }
  } finally {
    agent.destroy();
    await envoy.stop();
    pod.stop();
  }
}

/** A chat's body of about so many bytes, most of them text. @param {number} bytes @param {string} place */
function bodyOf(bytes, place) {
  const text = "The quick brown fox jumps over the lazy dog, again. ".repeat(bytes / 52);
  const messages = [{ role: "user", content: text }];
  return JSON.stringify(
    place === "first" ? { model: "qwen-7b", messages } : { messages, model: "qwen-7b" },
  );
}

/** @param {Agent} agent @param {{ port: number }} arm @param {string} body @param {number} requests */
async function slice(agent, arm, body, requests) {
  let left = requests;
  const one = async () => {
    while (left-- > 0) await ask(agent, arm.port, body);
  };
  await Promise.all(Array.from({ length: 8 }, one));
}

/** Rejects unless the route of the model answers. @param {Agent} agent @param {number} port @param {string} body */
function ask(agent, port, body) {
  return new Promise((resolve, reject) => {
    const headers = {
      host: "models.example.com",
      "x-model": "qwen-7b",
      "content-type": "application/json",
      "content-length": body.length,
    };
    const options = { agent, host: "127.0.0.1", port, path: "/v1/chat/completions", headers };
    const call = request({ ...options, method: "POST" }, (answer) => {
      answer.resume();
      answer.on("error", reject);
      answer.on("end", () => {
        if (answer.statusCode === 200 && answer.headers["x-route"] === "qwen") resolve(undefined);
        else
          reject(new Error(`unexpected answer: ${answer.statusCode} ${answer.headers["x-route"]}`));
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

/** A pod that reads each request to its end. @returns {Promise<{ port: number, stop(): void }>} */
function startPod() {
  const server = createServer((asked, answer) => {
    asked.resume();
    asked.on("end", () => answer.end("{}"));
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address ? address.port : 0;
      resolve({ port, stop: () => server.close().closeAllConnections() });
    });
  });
}
