import { type ChildProcess, spawn } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePorts } from "../free-ports.ts";
import { cloneTo, installIn } from "../package/clone.ts";

/**
 * The project's folder as a reader has it, to which commands may write without leaving traces.
 * Blocks run as they stand, but for the addresses that the pages name: these are replaced by
 * free ones, since a test cannot know who else listens on its machine.
 */
export interface Reader {
  /** The folder. */
  path: string;
  /** Runs a block in the reader's one terminal; rejects unless it ends with 0. */
  run(block: string): Promise<string>;
  /** Runs a command that stays, in another terminal, until it says `ready`. */
  start(command: string): Promise<void>;
  /** Ends what was started, and removes the folder. */
  leave(): Promise<void>;
}

/** @param cloned whether the folder has only what a clone has, and what installing makes of it */
export async function createReader({ cloned = false } = {}): Promise<Reader> {
  const [listen, xds, gateway, admin, prometheus, ...pods] = await freePorts(7);
  const at = (port: number | undefined) => `127.0.0.1:${port}`;
  const elsewhere: [string, string][] = [
    [
      "npm start",
      `npm start -- --listen ${at(listen)} --xds ${at(xds)} --gateway ${at(gateway)} --admin ${at(admin)} --pods ${pods.map(at).join()}`,
    ],
    ["127.0.0.1:8080", at(listen)],
    ["127.0.0.1:10000", at(gateway)],
    ["127.0.0.1:9090", at(prometheus)],
  ];
  const moved = (text: string) =>
    elsewhere.reduce((before, [from, to]) => before.replaceAll(from, to), text);
  const path = mkdtempSync(join(tmpdir(), "weir-reader-"));
  if (cloned) {
    cloneTo(path);
    installIn(path);
  } else
    for (const name of readdirSync("."))
      if (name !== ".git") symlinkSync(resolve(name), join(path, name));
  if (cloned) {
    const file = join(path, "istio/monitoring/prometheus.yml");
    writeFileSync(file, moved(readFileSync(file, "utf8")));
  }
  const env = { ...process.env, WEIR_SERVER: at(listen) };
  const terminal = openTerminal(path, env);
  const started: ChildProcess[] = [];
  return {
    path,
    run: (block) => terminal.run(moved(block)),
    async start(command) {
      // A group of its own: npm does not hand signals on to what it started.
      const child = spawn("bash", ["-eu", "-c", moved(command)], {
        cwd: path,
        env,
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
      started.push(child);
      let output = "";
      await new Promise<void>((done, reject) => {
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => {
            output += chunk;
            if (/^ready$/m.test(output)) done();
          });
        child.on("exit", (code) => reject(new Error(`exit ${code} of ${command}\n${output}`)));
      });
    },
    async leave() {
      await Promise.all([terminal.child, ...started].map(endGroup));
      rmSync(path, { recursive: true });
    },
  };
}

/** Ends each block; no command writes it. */
const end = "\u001e";

/** A shell that stays from block to block, with its jobs and variables. */
function openTerminal(cwd: string, env: NodeJS.ProcessEnv) {
  const loop = `exec 2>&1; while IFS= read -r file; do source "$file" </dev/null; printf '${end}'; done`;
  const child = spawn("bash", ["-eu", "-o", "pipefail", "-c", loop], {
    cwd,
    env,
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const blocks = mkdtempSync(join(tmpdir(), "weir-blocks-"));
  let output = "";
  let seen = () => {};
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk;
    seen();
  });
  child.on("close", () => {
    rmSync(blocks, { recursive: true });
    seen();
  });
  let count = 0;
  return {
    child,
    async run(block: string): Promise<string> {
      const file = join(blocks, `${count++}.sh`);
      writeFileSync(file, block);
      output = "";
      child.stdin.write(`${file}\n`);
      await new Promise<void>((done) => {
        seen = () => {
          if (output.endsWith(end) || child.exitCode !== null) done();
        };
        seen();
      });
      if (!output.endsWith(end)) throw new Error(`exit ${child.exitCode} of\n${block}\n${output}`);
      return output.slice(0, -end.length);
    },
  };
}

async function endGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((done) => child.on("exit", done));
  if (child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-(child.pid ?? 0), "SIGINT");
  child.stdin?.end();
  await ended;
}
