import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The blocks of a kind in a page, in order. */
export function blocksOf(page: string, kind: string): string[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, block = ""]) => block,
  );
}

/** The project's folder as a reader has it, to which commands may write without leaving traces. */
export interface ReadersFolder {
  path: string;
  /** Runs a block as it stands; rejects unless it ends with 0. */
  run(block: string): Promise<string>;
  /** Runs a command that stays, until it says `ready`. */
  start(command: string): Promise<ChildProcess>;
  remove(): void;
}

export function readersFolder(): ReadersFolder {
  const path = mkdtempSync(join(tmpdir(), "weir-reader-"));
  for (const name of readdirSync("."))
    if (name !== ".git") symlinkSync(resolve(name), join(path, name));
  const shell = (command: string, detached = false) =>
    spawn("bash", ["-eu", "-o", "pipefail", "-c", command], {
      cwd: path,
      stdio: ["ignore", "pipe", "pipe"],
      detached,
    });
  return {
    path,
    async run(block) {
      const child = shell(block);
      let output = "";
      for (const stream of [child.stdout, child.stderr])
        stream.on("data", (chunk: Buffer) => {
          output += chunk;
        });
      const code = await new Promise((done) => child.on("close", done));
      if (code !== 0) throw new Error(`exit ${code} of\n${block}\n${output}`);
      return output;
    },
    async start(command) {
      // A group of its own: npm does not hand signals on to what it started.
      const child = shell(command, true);
      let output = "";
      await new Promise<void>((done, reject) => {
        for (const stream of [child.stdout, child.stderr])
          stream.on("data", (chunk: Buffer) => {
            output += chunk;
            if (/^ready$/m.test(output)) done();
          });
        child.on("exit", (code) => reject(new Error(`exit ${code} of ${command}\n${output}`)));
      });
      return child;
    },
    remove: () => rmSync(path, { recursive: true }),
  };
}
