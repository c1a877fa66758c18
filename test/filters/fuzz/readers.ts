import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pythonWith } from "../../python.ts";

/** For each reader of an API: the most tokens it would write, -1 for no bound, and the bytes of text it would read. */
export type Read = [tokens: number, textBytes: number][];

/** Pods' ways to read bodies, see readers.py. */
export interface Readers {
  /** What each body of a batch comes to. */
  read(bodies: readonly { api: string; body: Buffer }[]): Promise<Read[]>;
  stop(): void;
}

export function startReaders(): Readers {
  const script = new URL("readers.py", import.meta.url).pathname;
  const child: ChildProcessWithoutNullStreams = spawn(
    pythonWith("pydantic", ["pydantic==2.14.4"]),
    [script],
  );
  let words = "";
  child.stderr.on("data", (chunk) => {
    words = (words + chunk).slice(-2000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async read(bodies) {
      child.stdin.write(
        bodies.map(({ api, body }) => `${api} ${body.toString("hex") || "20"}\n`).join(""),
      );
      const told: Read[] = [];
      while (told.length < bodies.length) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`the readers ended: ${words}`);
        told.push(JSON.parse(value));
      }
      return told;
    },
    stop: () => void child.kill(),
  };
}
