import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folders = ["filters", "control", "proto", "tools"];
const settings = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];

/** The files below a folder, as paths that begin with it. @param {string} folder */
export function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Where a build leaves the digest of the sources that it was made from. */
export const stamp = "build/sources.sha256";

/** SHA-256 over everything that a build is made from, in hexadecimal. */
export function sourcesDigest() {
  const hash = createHash("sha256");
  const files = folders
    .flatMap(filesBelow)
    .filter((path) => !path.startsWith(join("control", "gen")));
  for (const path of [...files.sort(), ...settings]) hash.update(path).update(readFileSync(path));
  return hash.digest("hex");
}
