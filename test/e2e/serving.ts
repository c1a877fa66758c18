import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";
import { weir } from "./weir-up.ts";

const local = (port: number) => ({ host: "127.0.0.1", port });
const acme = { "x-tenant-id": "acme" };
const main = resolve("dist/control/main.js");

/** How a control service is started: its flags, and where. */
export interface Start {
  flags: string[];
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** A control service that ends and begins again below a real Envoy, which is asked without a pause. */
export interface Serving {
  client: GatewayClient;
  /** Address of the API. */
  server: string;
  /** Requests so far, and what those got that did not get 200. */
  traffic: { asked: number; failures: unknown[] };
  serve(start: Start): Promise<void>;
  /** Starts a service that is to end by itself. @returns its exit code */
  fail(start: Start): Promise<number | null>;
  /** Kills the service. */
  end(): Promise<void>;
  /** What the newest service wrote. */
  said(): string;
  ready(): Promise<{ status: number; text: string }>;
  /** Until the service says that the proxy runs what it has. */
  inStep(): Promise<void>;
  /** Until so many more requests have got their answers. */
  more(requests: number): Promise<void>;
  /** Asks no more. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

export async function until<T>(
  ask: () => Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; ) {
    const found = await ask();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within 60 s: ${what}`);
    await sleep(50);
  }
}

/** @param document file of the route `chat` of the canary's example */
export async function startServing(
  document: string,
  first: Start,
  delta: boolean,
): Promise<Serving> {
  const [listen = 0, xds = 0, gateway = 0, admin = 0] = await freePorts(4);
  const server = `127.0.0.1:${listen}`;
  const addresses = ["--listen", server, "--xds", `127.0.0.1:${xds}`];
  addresses.push("--gateway", `127.0.0.1:${gateway}`);
  let control: ChildProcess;
  let gone: Promise<number | null>;
  let said = "";

  function start({ flags, cwd, env }: Start): void {
    said = "";
    control = spawn(process.execPath, [main, "serve", ...addresses, ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
      cwd,
      env: { ...process.env, ...env },
    });
    gone = new Promise((done) => control.once("exit", done));
    control.stderr?.on("data", (chunk: Buffer) => {
      said += chunk;
    });
  }
  async function serve(how: Start): Promise<void> {
    start(how);
    await until(async () => said.includes("API and page on"), "the service listens");
  }
  async function end(): Promise<void> {
    control.kill("SIGKILL");
    await gone;
  }
  const ready = async () => {
    const answer = await fetch(`http://${server}/readyz`);
    return { status: answer.status, text: await answer.text() };
  };

  await serve(first);
  const envoy = await startEnvoy({
    binary: await findEnvoy(console.log),
    bootstrap: bootstrap({ node: "gateway-1", xds: local(xds), admin: local(admin), delta }),
    admin: local(admin),
    concurrency: 2,
  });
  const applied = await weir(["apply", "-f", document, "--server", server]);
  if (applied.code !== 0) throw new Error(applied.stderr);
  const client = gatewayClient(`http://127.0.0.1:${gateway}`);
  await until(
    async () => (await client.get("/v1/models", acme).catch(() => undefined))?.status === 200,
    "the first answer",
  );
  const traffic = { asked: 0, failures: [] as unknown[] };
  let running = true;
  const load = (async () => {
    while (running) {
      await client.get("/v1/models", acme).then(
        ({ status }) => status === 200 || traffic.failures.push(status),
        (error) => traffic.failures.push(error),
      );
      traffic.asked++;
      await sleep(2);
    }
  })();
  const quiet = () => {
    running = false;
    return load;
  };
  return {
    client,
    server,
    traffic,
    serve,
    fail(how) {
      start(how);
      return gone;
    },
    end,
    said: () => said,
    ready,
    async inStep() {
      const status = () => weir(["status", "chat", "--server", server]);
      await until(async () => (await status()).stdout.includes("applied on 1 of 1"), "in step");
    },
    async more(requests) {
      const before = traffic.asked;
      await until(async () => traffic.asked > before + requests, "requests go on");
    },
    quiet,
    async stop() {
      await quiet();
      client.close();
      await envoy.stop();
      await end();
    },
  };
}

/** The route of the canary's example over two pods, without a limit that a test reaches. */
export function routeOver(example: string, ports: readonly number[]): string {
  return example
    .replace("127.0.0.1:9001", `127.0.0.1:${ports[0]}`)
    .replace("127.0.0.1:9002", `127.0.0.1:${ports[1]}`)
    .replace("requestsPerSecond: 100, burst: 200", "requestsPerSecond: 50000, burst: 50000");
}
