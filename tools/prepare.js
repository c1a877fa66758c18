// Builds what is not built from the sources as they stand. npm runs this after an
// installation, and npx before every command: then there is nothing to do.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const sources = ["filters", "control", "proto", "tools"];
const settings = ["package.json", "package-lock.json", "tsconfig.json", "tsconfig.build.json"];
const stamp = "build/sources.sha256";
const made = ["build/weir.wasm", "dist/control/main.js", "control/gen"];

const now = digest();
const fresh =
  made.every((path) => existsSync(path)) &&
  existsSync(stamp) &&
  readFileSync(stamp, "utf8") === now;
if (!fresh) {
  execFileSync("npm", ["run", "build"], { stdio: "inherit" });
  writeFileSync(stamp, now);
}

function digest() {
  const hash = createHash("sha256");
  const files = sources.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.startsWith(join("control", "gen"))),
  );
  for (const path of [...files.sort(), ...settings]) hash.update(path).update(readFileSync(path));
  return hash.digest("hex");
}
