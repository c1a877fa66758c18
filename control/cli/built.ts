import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Path of a file of the package: whether this runs from the sources or from dist/. */
export function packaged(path: string): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json")) && dirname(directory) !== directory)
    directory = dirname(directory);
  return join(directory, path);
}

/** The filters that were built with this command. */
export const builtWasm = packaged("build/weir.wasm");

/** The version of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packaged("package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
