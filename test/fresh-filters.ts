import { execFileSync } from "node:child_process";

/** Compiles the modules whose sources have changed before anything is tested: the tests run what was compiled. */
export function setup(): void {
  execFileSync(process.execPath, ["tools/build-filters.js"], { stdio: "inherit" });
}
