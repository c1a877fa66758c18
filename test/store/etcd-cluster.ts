import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePorts } from "../free-ports.ts";

const run = promisify(execFile);

/** A real etcd cluster on this machine. */
export interface EtcdCluster {
  /** host:port of every member, for clients. */
  endpoints: string[];
  /** Store address with all members and a prefix. */
  address(prefix: string): string;
  /** Runs etcdctl against one member, the first if none is named; its output. */
  ctl(args: string[], member?: number): string;
  kill(member: number): Promise<void>;
  start(member: number): Promise<void>;
  /** Stops the process as it is; it keeps its sockets and answers nothing. */
  pause(member: number): void;
  resume(member: number): void;
  close(): Promise<void>;
}

export interface EtcdOptions {
  members?: number;
  /** Further flags of every member. */
  flags?: string[];
  scheme?: "http" | "https";
  /** Flags etcdctl needs to reach the members. */
  ctlFlags?: string[];
  /** Address of the machine that each member runs on, and what its commands start with there. */
  machines?: { address(member: number): string; command(member: number): string[] };
}

/** Starts etcd (the one on PATH) and waits until it has a leader. @throws when it does not come up */
export async function startEtcd({
  members = 1,
  flags = [],
  scheme = "http",
  ctlFlags = [],
  machines = { address: () => "127.0.0.1", command: () => [] },
}: EtcdOptions = {}): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), "weir-etcd-"));
  const ports = await freePorts(members * 2);
  const clientPort = (member: number) => ports[member * 2] as number;
  const peer = (member: number) => `http://${machines.address(member)}:${ports[member * 2 + 1]}`;
  const all = Array.from({ length: members }, (_, member) => member);
  const initial = all.map((member) => `m${member}=${peer(member)}`).join(",");
  const running = new Map<number, ChildProcess>();
  const endpoints = all.map((member) => `${machines.address(member)}:${clientPort(member)}`);
  const lines: string[] = [];

  function launch(member: number): void {
    const client = `${scheme}://${endpoints[member]}`;
    const [command = "", ...before] = [...machines.command(member), "etcd"];
    const child = spawn(
      command,
      [
        ...before,
        ...["--name", `m${member}`, "--data-dir", join(directory, `m${member}`)],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer(member), "--initial-advertise-peer-urls", peer(member)],
        ...[
          "--initial-cluster",
          initial,
          "--heartbeat-interval",
          "50",
          "--election-timeout",
          "500",
        ],
        ...["--logger", "zap", "--log-level", "error"],
        ...flags,
      ],
      { stdio: ["ignore", "ignore", "pipe"], env: { PATH: process.env.PATH } },
    );
    child.stderr?.on("data", (chunk: Buffer) => lines.push(chunk.toString()));
    child.on("error", (error) => lines.push(`etcd cannot be run: ${error.message}`));
    running.set(member, child);
  }

  const ctlArgs = (args: string[], member: number) => [
    `--endpoints=${scheme}://${endpoints[member]}`,
    ...ctlFlags,
    ...args,
  ];
  const ctlEnv = { PATH: process.env.PATH, ETCDCTL_API: "3" };

  function ctl(args: string[], member = 0): string {
    return execFileSync("etcdctl", ctlArgs(args, member), {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: ctlEnv,
    });
  }

  async function healthy(member: number): Promise<void> {
    const deadline = Date.now() + 20_000;
    for (;;) {
      try {
        // Not `ctl`: the traffic of a test goes on meanwhile.
        await run("etcdctl", ctlArgs(["get", "nothing", "--command-timeout=2s"], member), {
          env: ctlEnv,
        });
        return;
      } catch (error) {
        const refused = /user name is empty|permission denied/.test(String(error));
        if (refused) return;
        if (Date.now() > deadline || (running.get(member)?.exitCode ?? null) !== null)
          throw new Error(`etcd did not come up: ${lines.slice(-5).join("")} ${error}`);
        await sleep(50);
      }
    }
  }

  async function kill(member: number): Promise<void> {
    const child = running.get(member);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  for (const member of all) launch(member);
  try {
    for (const member of all) await healthy(member);
  } catch (error) {
    for (const member of all) await kill(member);
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }

  return {
    endpoints,
    address: (prefix) => `etcd://${endpoints.join(",")}/${prefix}`,
    ctl,
    kill,
    async start(member) {
      launch(member);
      await healthy(member);
    },
    pause: (member) => void running.get(member)?.kill("SIGSTOP"),
    resume: (member) => void running.get(member)?.kill("SIGCONT"),
    async close() {
      for (const member of all) await kill(member);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
