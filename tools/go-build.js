import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const tellEveryMs = 15_000;
/** Of a build that fails, the end says why. */
const keptLines = 40;

/**
 * Runs `go build`, and prints to standard error how far it is.
 * @param {string} name of what is built
 * @param {string[]} args
 * @param {{cwd: string, env: NodeJS.ProcessEnv}} options
 * @returns {Promise<string | undefined>} what Go said when it failed
 */
export async function goBuild(name, args, options) {
  const started = Date.now();
  let modules = 0;
  let packages = 0;
  /** @type {string[]} */
  const words = [];
  const child = spawn("go", ["build", "-v", ...args], {
    ...options,
    stdio: ["ignore", "ignore", "pipe"],
  });
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (line.startsWith("go: downloading ")) modules++;
    // With -v a line that is nothing but a path is a package that is compiled now.
    else if (/^[\w./~-]+$/.test(line)) packages++;
    else words.push(line);
  });
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - started) / 1000);
    const fetched = modules > 0 ? `${modules} modules fetched, ` : "";
    console.error(`building ${name}: ${fetched}${packages} packages, ${seconds} s`);
  }, tellEveryMs);
  /** @type {number | null | Error} */
  const ended = await new Promise((resolve) => child.on("error", resolve).on("close", resolve));
  clearInterval(timer);
  if (ended === 0) return undefined;
  return ended instanceof Error ? ended.message : words.slice(-keptLines).join("\n");
}
