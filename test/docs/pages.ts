import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePorts } from "../e2e/weir-up.ts";

/** The blocks of a kind in a page, in order. */
export function blocksOf(page: string, kind: string): string[] {
  const text = readFileSync(page, "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\``, "gm"))].map(
    ([, block = ""]) => block,
  );
}

/**
 * The project's folder as a reader has it, to which commands may write without leaving traces.
 * Blocks run as they stand, but for the addresses that the pages name: these are replaced by
 * free ones, since a test cannot know who else listens on its machine.
 */
export interface ReadersFolder {
  path: string;
  /** Runs a block as it stands; rejects unless it ends with 0. */
  run(block: string): Promise<string>;
  /** Runs a command that stays, until it says `ready`. */
  start(command: string): Promise<ChildProcess>;
  remove(): void;
}

export async function readersFolder(): Promise<ReadersFolder> {
  const [listen, xds, gateway, admin, ...pods] = await freePorts(6);
  const at = (port: number | undefined) => `127.0.0.1:${port}`;
  const elsewhere: [string, string][] = [
    [
      "npm start",
      `npm start -- --listen ${at(listen)} --xds ${at(xds)} --gateway ${at(gateway)} --admin ${at(admin)} --pods ${pods.map(at).join()}`,
    ],
    ["127.0.0.1:8080", at(listen)],
    ["127.0.0.1:10000", at(gateway)],
  ];
  const path = mkdtempSync(join(tmpdir(), "weir-reader-"));
  for (const name of readdirSync("."))
    if (name !== ".git") symlinkSync(resolve(name), join(path, name));
  const shell = (command: string, detached = false) =>
    spawn("bash", ["-eu", "-o", "pipefail", "-c", moved(command, elsewhere)], {
      cwd: path,
      env: { ...process.env, WEIR_SERVER: at(listen) },
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

function moved(command: string, elsewhere: readonly [string, string][]): string {
  return elsewhere.reduce((text, [from, to]) => text.replaceAll(from, to), command);
}
