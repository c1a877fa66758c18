import { execFile, spawnSync } from "node:child_process";
import { table } from "./table.js";

/** Longer than any tool takes to say its version. */
const answersWithinMs = 30_000;

/** The tools that this machine lacks, in the order of the table. @returns {Promise<string[]>} */
export async function missingTools(names = Object.keys(table.tools)) {
  const found = await Promise.all(names.map(isHere));
  return names.filter((_, at) => !found[at]);
}

/** @param {string} name */
async function isHere(name) {
  const { runs = [], variable, atLeast } = table.tools[name] ?? {};
  if (variable !== undefined && process.env[variable]) return true;
  const answers = await Promise.all(runs.map(answerOf));
  return answers.some(
    (answer) => answer !== undefined && (atLeast === undefined || isAtLeast(answer, atLeast)),
  );
}

/** What a command prints; undefined when it cannot be run or fails. @param {string[]} command @returns {Promise<string | undefined>} */
function answerOf([command = "", ...args]) {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: answersWithinMs }, (error, stdout) =>
      resolve(error ? undefined : stdout),
    );
  });
}

/** Whether the first version in a text is this one or a later one. @param {string} text @param {string} atLeast */
function isAtLeast(text, atLeast) {
  const [, major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(text) ?? [];
  const [wantedMajor = 0, wantedMinor = 0] = atLeast.split(".").map(Number);
  return (Number(major) - wantedMajor || Number(minor) - wantedMinor) >= 0;
}

/**
 * Installs the Debian packages of these tools, where that can be done without asking anyone.
 * @param {string[]} names
 * @returns {string | undefined} why nothing was installed
 */
export function install(names) {
  const packages = names.flatMap((name) => table.tools[name]?.package ?? []);
  if (packages.length === 0) return undefined;
  if (process.env.WEIR_INSTALL === "no") return "WEIR_INSTALL=no";
  if (!runs("apt-get", "--version")) return "there is no apt-get";
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  if (asRoot.length > 0 && !runs("sudo", "-n", "true")) return "it takes root";
  const [first = "", ...before] = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive"];
  const apt = (/** @type {string[]} */ ...args) =>
    spawnSync(first, [...before, "apt-get", "-qq", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  console.log("apt-get update (WEIR_INSTALL=no installs nothing)");
  apt("update");
  // One at a time: a package that this system does not have holds up no other.
  for (const each of new Set(packages)) {
    console.log(`apt-get install ${each}`);
    apt("install", "-y", "--no-install-recommends", each);
  }
  return undefined;
}

/** @param {string} command @param {string[]} args */
function runs(command, ...args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
