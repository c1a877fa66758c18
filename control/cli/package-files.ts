import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Option } from "commander";

/** Path of a file of the package: whether this runs from the sources or from dist/. */
function packaged(path: string): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json")) && dirname(directory) !== directory)
    directory = dirname(directory);
  return join(directory, path);
}

/** A flag for a file that the package brings along; the help names it the same wherever that lies. */
export function packagedFile(name: string, what: string, path: string): Option {
  return new Option(`--${name} <file>`, what).default(packaged(path), `the package's ${path}`);
}

/** The version of this package. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packaged("package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
