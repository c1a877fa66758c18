import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/**
 * The Python of an environment of its own below the user's cache, which is made once.
 * @param {string} name of its folder
 * @param {(python: string, work: string) => void} fill installs what belongs into it; `work` is where it stands meanwhile
 * @returns {string}
 */
export function pythonOnce(name, fill) {
  const cache = process.env.XDG_CACHE_HOME ?? join(process.env.HOME ?? homedir(), ".cache");
  const home = join(cache, "weir", name);
  const binary = join(home, "bin", "python3");
  if (existsSync(binary)) return binary;
  mkdirSync(dirname(home), { recursive: true });
  const work = `${home}.${process.pid}`;
  const started = Date.now();
  console.error(`making the Python environment ${name}; the first time takes a while`);
  run("python3", "-m", "venv", work);
  fill(join(work, "bin", "python3"), work);
  // It takes its place only once it is whole; another process may have been faster.
  if (existsSync(binary)) rmSync(work, { recursive: true });
  else renameSync(work, home);
  console.error(`made it in ${Math.round((Date.now() - started) / 1000)} s: ${home}`);
  return binary;
}

/**
 * Runs a command whose output, which may be progress, goes to standard error.
 * @param {string} command
 * @param {string[]} args
 */
export function run(command, ...args) {
  execFileSync(command, args, { stdio: ["ignore", 2, "inherit"] });
}

/** pip, as it installs wheels alone: nothing is built on this machine. */
export const pip = [
  "-m",
  "pip",
  "install",
  "--disable-pip-version-check",
  "--only-binary",
  ":all:",
];
