import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { clientsOf } from "../api/clients.ts";
import { tokens } from "./namespaces.ts";

/** The control service under test: one process at a time, always at the same addresses. */
export interface Service {
  api: number;
  xds: number;
  url: string;
  pid(): number;
  /** Ready, and not told to end. */
  isUp(): boolean;
  start(): Promise<void>;
  /** Ends it with a signal, and resolves when it is gone. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Its time of day, from now on: "+0", "+1d", "-1h". */
  setClock(offset: string): void;
  /** What it wrote last. */
  said(): string;
  rssMiB(): number;
  descriptors(): number;
  /** CPU time that the present process has used. */
  cpuMs(): number;
  restarts(): number;
}

export interface ServiceOptions {
  api: number;
  xds: number;
  gateway: number;
  /** As `weir serve --store` takes it. */
  store: string;
  access: string;
  /** Where the file with its time of day is. */
  directory: string;
  /** It ended though nobody told it to. */
  onEnd(how: string): void;
}

/** A start that takes longer than this on whatever machine is none. */
const readyWithinMs = 240_000;
/** It has ten seconds to end in good order, on a machine that has others to serve. */
const endsWithinMs = 30_000;
const ticksPerSecond = 100;
const callMs = 10_000;

export function createService(options: ServiceOptions): Service {
  const { api, xds, gateway, store, access, directory, onEnd } = options;
  const clock = join(directory, "clock");
  writeFileSync(clock, "+0\n");
  const preload = execFileSync("faketime", ["-f", "+0", "printenv", "LD_PRELOAD"], {
    encoding: "utf8",
  }).trim();
  let child: ChildProcess | undefined;
  let said = "";
  let up = false;
  let starts = 0;
  const runs = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const url = `http://127.0.0.1:${api}`;
  const flags = [
    ...["--listen", `127.0.0.1:${api}`, "--xds", `127.0.0.1:${xds}`],
    ...["--gateway", `127.0.0.1:${gateway}`, "--store", store, "--access", access],
  ];
  /** Why it is not ready; undefined when it is. */
  const missing = () =>
    fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) }).then(
      async (answer) => (answer.ok ? undefined : `${answer.status} ${await answer.text()}`),
      (error: Error) => `${error.message} ${error.cause ?? ""}`,
    );
  const proc = (file: string) => readFileSync(`/proc/${child?.pid}/${file}`, "utf8");

  return {
    api,
    xds,
    url,
    pid: () => (runs() ? (child?.pid ?? 0) : 0),
    isUp: () => up && runs(),
    async start() {
      starts++;
      const mine = spawn(process.execPath, ["dist/control/main.js", "serve", ...flags], {
        stdio: ["ignore", "ignore", "pipe"],
        env: {
          ...process.env,
          LD_PRELOAD: preload,
          FAKETIME_DONT_FAKE_MONOTONIC: "1",
          FAKETIME_TIMESTAMP_FILE: clock,
          FAKETIME_CACHE_DURATION: "1",
        },
      });
      child = mine;
      mine.stderr.on("data", (chunk: Buffer) => {
        said = (said + chunk).slice(-8_000);
      });
      mine.once("exit", (code, signal) => {
        const wanted = !up;
        up = false;
        if (!wanted && child === mine) onEnd(`${code ?? signal}: ${said.slice(-2_000)}`);
      });
      const deadline = performance.now() + readyWithinMs;
      const told = new Map<string, number>();
      for (let why = await missing(); why !== undefined; why = await missing()) {
        told.set(why, (told.get(why) ?? 0) + 1);
        await sleep(50);
        if (runs() && performance.now() < deadline) continue;
        const times = [...told].map(([text, count]) => `${count} times ${text}`).join("; ");
        const how = runs()
          ? `is not ready after ${readyWithinMs} ms: ${times}`
          : "ended while it started";
        onEnd(how);
        throw new Error(`the service ${how}: ${said}`);
      }
      up = true;
    },
    async end(signal) {
      const mine = child;
      up = false;
      if (mine === undefined || !runs()) return;
      const gone = new Promise((resolve) => mine.once("exit", resolve));
      mine.kill(signal);
      const timer = setTimeout(() => mine.kill("SIGKILL"), endsWithinMs);
      await gone;
      clearTimeout(timer);
    },
    setClock: (offset) => writeFileSync(clock, `${offset}\n`),
    said: () => said,
    rssMiB: () => Number(/VmRSS:\s+(\d+)/.exec(proc("status"))?.[1]) / 1024,
    descriptors: () => readdirSync(`/proc/${child?.pid}/fd`).length,
    cpuMs() {
      const [, user = 0, system = 0] =
        /\) (?:\S+ ){11}(\d+) (\d+)/.exec(proc("stat"))?.map(Number) ?? [];
      return ((user + system) * 1_000) / ticksPerSecond;
    },
    restarts: () => Math.max(0, starts - 1),
  };
}

/** Calls as a person with rights to everything makes them. */
export const callsTo = (service: Service) =>
  clientsOf(service.url, { token: tokens.people, timeoutMs: callMs });
