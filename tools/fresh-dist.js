// Compiles the control service again where a source is newer than what was compiled: tests of
// commands run what was compiled. It writes over what is there, which other tests may be running.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { filesBelow } from "./sources.js";

const main = "dist/control/main.js";

/** When a file below a folder was changed last. @param {string} folder */
function newestMs(folder) {
  return filesBelow(folder)
    .map((file) => statSync(file).mtimeMs)
    .reduce((newest, each) => Math.max(newest, each), 0);
}

if (!existsSync(main) || newestMs("control") > statSync(main).mtimeMs) {
  console.error("compiling control/ into dist/");
  // Types that are wrong are told, and stop no test.
  spawnSync("node_modules/.bin/tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
  execFileSync(process.execPath, ["tools/copy-assets.js"], { stdio: "inherit" });
}
