// Builds what is not built from the sources as they stand. npm runs this after an
// installation, and npx before every command: then there is nothing to do.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { sourcesDigest, stamp } from "./sources.js";

const made = ["build/weir.wasm", "dist/control/main.js", "control/gen"];

const fresh =
  made.every((path) => existsSync(path)) &&
  existsSync(stamp) &&
  readFileSync(stamp, "utf8") === sourcesDigest();
if (!fresh) execFileSync("npm", ["run", "build"], { stdio: "inherit" });
