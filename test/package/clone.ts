import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const made = ["build", "dist", "control/gen"];

/** Copies into a folder what a clone of the repository would have, as it stands here. */
export function cloneTo(path: string): void {
  const listed = spawnSync("git", ["ls-files", "-z", "-co", "--exclude-standard"]);
  const files =
    listed.status === 0
      ? listed.stdout.toString().split("\0").filter(Boolean)
      : readdirSync(".").filter((name) => !["node_modules", ".git"].includes(name));
  for (const file of files.filter((each) => existsSync(each))) {
    mkdirSync(join(path, dirname(file)), { recursive: true });
    cpSync(file, join(path, file), { recursive: true, filter: (each) => !made.includes(each) });
  }
}

/**
 * Makes of a copy what `npm ci` makes of it. It takes minutes, and was done here before
 * any test: the default run takes over what it made, which npx compares with the copied
 * sources and would build anew; the long run installs.
 */
export function installIn(path: string): void {
  if (process.env.WEIR_LONG === undefined) {
    for (const each of made) cpSync(each, join(path, each), { recursive: true });
    symlinkSync(resolve("node_modules"), join(path, "node_modules"));
    return;
  }
  const { status, stdout, stderr } = spawnSync("npm", ["ci"], { cwd: path, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm ci: ${stdout}${stderr}`);
}
