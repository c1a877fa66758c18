import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pythonWith } from "../../python.ts";

/** What a stream of grpcio was told. */
export type Told = { bytes: string } | { status: string; details: string };

/** A process that speaks ADS through grpcio. */
export interface Grpcio {
  open(id: string, port: number, method: string, compress?: boolean): void;
  send(id: string, bytes: Uint8Array): void;
  halfClose(id: string): void;
  cancel(id: string): void;
  /** What a stream is told next. */
  next(id: string): Promise<Told>;
  stop(): void;
}

export function startGrpcio(): Grpcio {
  const script = new URL("ads.py", import.meta.url).pathname;
  const child: ChildProcessWithoutNullStreams = spawn(pythonWith("grpcio", ["grpcio==1.84.2"]), [
    script,
  ]);
  const told = new Map<string, Told[]>();
  let wake = () => {};
  let words = "";
  child.stderr.on("data", (chunk) => {
    words = (words + chunk).slice(-2000);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, ...what } = JSON.parse(line) as { id: string } & Told;
    told.set(id, [...(told.get(id) ?? []), what as Told]);
    wake();
  });
  const say = (command: object) => void child.stdin.write(`${JSON.stringify(command)}\n`);
  return {
    open: (id, port, method, compress = false) => say({ open: id, port, method, compress }),
    send: (id, bytes) => say({ send: id, bytes: Buffer.from(bytes).toString("hex") }),
    halfClose: (id) => say({ half: id }),
    cancel: (id) => say({ cancel: id }),
    async next(id) {
      const deadline = performance.now() + 30_000;
      for (;;) {
        const found = told.get(id)?.shift();
        if (found) return found;
        if (performance.now() > deadline) throw new Error(`${id} was told nothing; ${words}`);
        const timer = setTimeout(() => wake(), 500);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        clearTimeout(timer);
      }
    },
    stop: () => void child.kill(),
  };
}
