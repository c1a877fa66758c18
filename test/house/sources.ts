import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** All source files below a folder, generated ones left out. */
export function sourcesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|js)$/.test(entry.name))
    .map((entry) => normalize(join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => !file.startsWith("control/gen/") && !file.includes("node_modules"));
}

/** Files of the project that a file imports. @param types whether those count of which it takes types alone */
export function importsOf(file: string, { types = true } = {}): string[] {
  const all = readFileSync(file, "utf8");
  const text = types ? all : all.replaceAll(/^(?:import|export) type [^;]*;/gm, "");
  return [...text.matchAll(/(?:from\s+|import\(\s*)"(\.[^"]+)"/g)].flatMap(
    ([, path = ""]) => resolveImport(file, path) ?? [],
  );
}

/** The file of the project that a path in an import means; undefined for packages. */
export function resolveImport(file: string, path: string): string | undefined {
  if (path.startsWith("#control/")) return path.slice(1).replace(/\.js$/, ".ts");
  if (!path.startsWith(".")) return undefined;
  const target = normalize(join(dirname(file), path)).replace(/^dist\/(.*)\.js$/, "$1.ts");
  return [target, `${target}.ts`, join(target, "index.ts")].find(
    (each) => existsSync(each) && /\.(ts|js)$/.test(each),
  );
}
