import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A program that answers each line with a line. */
export interface LineProgram {
  /** The answers to these lines, read as JSON. */
  answers<T>(lines: readonly string[]): Promise<T[]>;
  stop(): void;
}

export function startLineProgram(command: string, args: readonly string[] = []): LineProgram {
  const child: ChildProcessWithoutNullStreams = spawn(command, args);
  let words = "";
  child.stderr.on("data", (chunk) => {
    words = (words + chunk).slice(-2000);
  });
  const out = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async answers<T>(lines: readonly string[]) {
      child.stdin.write(lines.map((line) => `${line}\n`).join(""));
      const told: T[] = [];
      while (told.length < lines.length) {
        const { value, done } = await out.next();
        if (done) throw new Error(`the program ended: ${words}`);
        told.push(JSON.parse(value));
      }
      return told;
    },
    stop: () => void child.kill(),
  };
}
