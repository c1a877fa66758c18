import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePorts } from "../free-ports.ts";
import { pythonWith } from "../python.ts";
import packages from "./packages.json" with { type: "json" };

/** A Python with llama.cpp's server, what writes a model for it, and foreign clients. */
export const inferencePython = () => pythonWith("inference", packages);

/** A folder with models of random weights. */
export interface Models {
  /** About 4,000 tokens a second on one core. */
  fast: string;
  /** About a twelfth of that. */
  slow: string;
  remove(): void;
}

export function writeModels(): Models {
  const folder = mkdtempSync(join(tmpdir(), "weir-models-"));
  const write = (name: string, layers: number) => {
    const file = join(folder, `${name}.gguf`);
    execFileSync(inferencePython(), ["test/inference/model.py", file, `${layers}`]);
    return file;
  };
  return {
    fast: write("fast", 2),
    slow: write("slow", 24),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** What llama.cpp counted since it started, and what it does now. */
export interface LlamaCounters {
  promptTokens: number;
  cachedTokens: number;
  predictedTokens: number;
  processing: number;
  deferred: number;
}

/** A running server of llama.cpp. */
export interface Llama {
  endpoint: string;
  counters(): Promise<LlamaCounters>;
  /** Stops in the middle of whatever it does; connections are still taken. */
  freeze(): void;
  stop(): Promise<void>;
}

/** Fields of llama.cpp's common parameters that a test may set; flags are 0 or 1. */
export type LlamaSettings = Partial<
  Record<"n_parallel" | "n_ctx" | "embedding" | "pooling_type", number>
>;

export async function startLlama(model: string, settings: LlamaSettings = {}): Promise<Llama> {
  const [port = 0] = await freePorts(1);
  const set = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const child = spawn(inferencePython(), ["test/inference/serve.py", model, `${port}`, ...set]);
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => {
    words = (words + chunk).slice(-2000);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => line === "ready" && resolve());
    child.once("exit", (code) => reject(new Error(`llama.cpp ended with ${code}: ${words}`)));
  });
  const endpoint = `127.0.0.1:${port}`;
  return {
    endpoint,
    async counters() {
      const text = await (await fetch(`http://${endpoint}/metrics`)).text();
      const read = (name: string) =>
        Number(new RegExp(`^llamacpp:${name} (\\S+)$`, "m").exec(text)?.[1]);
      return {
        promptTokens: read("prompt_tokens_total"),
        cachedTokens: read("prompt_tokens_cached_total"),
        predictedTokens: read("tokens_predicted_total"),
        processing: read("requests_processing"),
        deferred: read("requests_deferred"),
      };
    },
    freeze: () => void child.kill("SIGSTOP"),
    async stop() {
      child.stdin.end();
      // It waits for its connections to end.
      child.kill("SIGKILL");
      await exited;
    },
  };
}
