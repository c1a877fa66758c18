import { execFileSync } from "node:child_process";

/** Compiles what has changed before anything is tested: the tests of filters and of commands run what was compiled. */
export function setup(): void {
  for (const name of ["build-filters", "provenance", "fresh-dist"])
    execFileSync(process.execPath, [`tools/${name}.js`], { stdio: "inherit" });
}
