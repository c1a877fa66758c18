import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";

/** Istio's programs: crd-check (its CRD and CEL rules), istioctl, pilot-discovery. */
export type IstioTools = Record<string, string>;

/** Builds the programs, or finds them in the cache; the first time takes minutes. */
export function buildIstio(...names: string[]): IstioTools {
  const run = spawnSync(process.execPath, ["tools/build-istio.js", ...names], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error("Istio's programs could not be built; see above");
  return JSON.parse(run.stdout) as IstioTools;
}

/** How a program ended and what it said. */
export interface Verdict {
  code: number | null;
  stdout: string;
  stderr: string;
}

export function run(program: string | undefined, ...args: string[]): Verdict {
  if (program === undefined) throw new Error("program was not built");
  // Istio's test library warns on stdout unless it knows where a build would go.
  const env = { ...process.env, TARGET_OUT: tmpdir(), LOCAL_OUT: tmpdir() };
  const {
    status: code,
    stdout,
    stderr,
    error,
  } = spawnSync(program, args, {
    env,
    encoding: "utf8",
    maxBuffer: 256 << 20,
  });
  if (error) throw error;
  return { code, stdout, stderr };
}
