import { spawn } from "node:child_process";
import { freePorts } from "../free-ports.ts";
import { inferencePython } from "./llama.ts";

/** A server on uvicorn, on which those of Python stand. */
export interface Uvicorn {
  endpoint: string;
  /** How many it was asked for. */
  completions(): Promise<number>;
  stop(): Promise<void>;
}

export async function startUvicorn(): Promise<Uvicorn> {
  const [port = 0] = await freePorts(1);
  const child = spawn(inferencePython(), ["test/inference/uvicorn_app.py", `${port}`], {
    stdio: "ignore",
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const endpoint = `127.0.0.1:${port}`;
  const completions = async () => {
    const answer = await fetch(`http://${endpoint}/count`, { headers: { connection: "close" } });
    return ((await answer.json()) as { completions: number }).completions;
  };
  const deadline = Date.now() + 30_000;
  while ((await completions().catch(() => undefined)) === undefined)
    if (Date.now() > deadline || child.exitCode !== null) throw new Error("uvicorn did not start");
  return {
    endpoint,
    completions,
    async stop() {
      child.kill();
      await exited;
    },
  };
}
