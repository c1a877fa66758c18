import { pythonWith } from "../../python.ts";
import { startLineProgram } from "./line-program.ts";

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
  const program = startLineProgram(pythonWith("pydantic", ["pydantic==2.14.4"]), [script]);
  return {
    read: (bodies) =>
      program.answers(bodies.map(({ api, body }) => `${api} ${body.toString("hex") || "20"}`)),
    stop: program.stop,
  };
}
