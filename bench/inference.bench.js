// What Weir's filters add to what a client of a real inference server waits for: llama.cpp's server
// behind one Envoy, by a listener without filters, one with weir-full.wasm and token-limit.wasm, and
// one whose route goes by how busy the pods are as well. Requests one at a time, arms in turn, order
// reversed every other round, each held against the plain one of its round.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { findEnvoy, startEnvoy } from "#control/envoy/index.js";
import { inTurn, medianOf } from "./rounds.js";
import { wasmBootstrap } from "./wasm-bootstrap.js";

const rounds = Number(process.env.BENCH_ROUNDS ?? 300);
const warmUp = 20;
const firstPort = 21_400;
const podPort = firstPort + 8;
const admin = { host: "127.0.0.1", port: firstPort + 9 };

/** Every decision and a budget that no one reaches, as the modules read them. @param {object} more */
function filters(more) {
  const identity = [{ header: "x-tenant-id" }];
  const tenants = { acme: "gold" };
  const route = {
    name: "inference/chat",
    hosts: ["chat.example.com"],
    canary: {
      stickyBy: [{ header: "x-user-id" }],
      salt: "inference/chat",
      variants: ["stable"],
      buckets: [{ variant: "stable", count: 10000 }],
    },
    rateLimit: {
      identity,
      tiers: { gold: { requestsPerSecond: 1000000, burst: 1000000, concurrent: 1000 } },
      tenants,
      default: "gold",
      ...more,
    },
    tokenLimit: {
      identity,
      tiers: { gold: { tokensPerMinute: "1000000000" } },
      tenants,
      default: "gold",
      variants: ["stable"],
    },
  };
  const configuration = JSON.stringify({ revision: "bench", routes: [route] });
  return ["weir-full", "token-limit"].map((name) => ({
    module: `build/${name}.wasm`,
    configuration,
  }));
}

const arms = [
  { name: "plain", port: firstPort, filters: [] },
  { name: "weir", port: firstPort + 1, filters: filters({}) },
  { name: "overload", port: firstPort + 2, filters: filters({ overload: {} }) },
];
const asked = { messages: [{ role: "user", content: "hello" }], temperature: 0, ignore_eos: true };
const kinds = {
  "JSON of 8 tokens, whole": { ...asked, max_tokens: 8 },
  "stream of 8 tokens, first byte": { ...asked, max_tokens: 8, stream: true },
  "stream of 8 tokens, whole": { ...asked, max_tokens: 8, stream: true },
};

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const llama = await startLlama(join(folder, "tiny.gguf"));
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    // llama.cpp closes its connections without a word: each carries one request.
    bootstrap: wasmBootstrap(arms, admin.port, podPort, 1),
    admin,
    concurrency: 1,
    logLevel: "error",
  });
  try {
    console.log(
      `ms that a client waits for llama.cpp's server, ${rounds} rounds, median with 95 % interval`,
    );
    for (const [kind, body] of Object.entries(kinds)) await report(kind, body);
  } finally {
    await envoy.stop();
    llama.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} kind @param {object} body */
async function report(kind, body) {
  const wait = async (/** @type {number} */ port) => {
    const { firstMs, wholeMs } = await ask(port, body);
    return kind.endsWith("first byte") ? firstMs : wholeMs;
  };
  for (let i = 0; i < warmUp; i++) for (const { port } of arms) await wait(port);
  const measured = await inTurn(rounds, arms, ({ port }) => wait(port));
  console.log(`  ${kind}`);
  console.log(`    plain Envoy    ${medianOf(measured, "plain")}`);
  for (const { name } of arms.slice(1))
    console.log(`    ${name.padEnd(8)} adds ${medianOf(measured, name, "plain")}`);
}

/**
 * @param {number} port
 * @param {object} json
 * @returns {Promise<{ firstMs: number, wholeMs: number }>}
 */
function ask(port, json) {
  return new Promise((resolve, reject) => {
    const body = JSON.stringify(json);
    const headers = {
      host: "chat.example.com",
      "x-tenant-id": "acme",
      "content-type": "application/json",
      "content-length": body.length,
    };
    const path = "/v1/chat/completions";
    const beganMs = performance.now();
    const call = request({ host: "127.0.0.1", port, path, method: "POST", headers }, (answer) => {
      let firstMs = 0;
      answer.on("data", () => {
        firstMs ||= performance.now() - beganMs;
      });
      answer.on("error", reject);
      answer.on("end", () => {
        if (answer.statusCode === 200) resolve({ firstMs, wholeMs: performance.now() - beganMs });
        else reject(new Error(`unexpected answer: ${answer.statusCode}`));
      });
    });
    call.on("error", reject);
    call.end(body);
  });
}

/** @param {string} model */
async function startLlama(model) {
  const packages = JSON.parse(readFileSync("test/inference/packages.json", "utf8"));
  const made = execFileSync(process.execPath, ["tools/python-with.js", "inference", ...packages]);
  const python = made.toString().trim();
  execFileSync(python, ["test/inference/model.py", model, "2"]);
  const llama = spawn(python, ["test/inference/serve.py", model, `${podPort}`], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  await new Promise((resolve, reject) => {
    llama.once("exit", (code) => reject(new Error(`llama.cpp ended with ${code}`)));
    createInterface({ input: llama.stdout }).on("line", (line) => line === "ready" && resolve(0));
  });
  return llama;
}
