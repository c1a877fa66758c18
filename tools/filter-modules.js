import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { sourcesOf } from "./compile-filter.js";

/**
 * The filters' modules: where each begins, and which code it holds besides what all do.
 * @type {Record<string, { entry: string, extended?: boolean, ranges?: boolean }>}
 */
export const modules = {
  weir: { entry: "filters/modules/weir.ts" },
  "weir-full": { entry: "filters/modules/weir-full.ts", extended: true, ranges: true },
  "rate-limit": { entry: "filters/modules/rate-limit.ts" },
  compression: { entry: "filters/modules/compression.ts" },
  shadow: { entry: "filters/modules/shadow.ts" },
  canary: { entry: "filters/modules/canary.ts" },
  "token-limit": { entry: "filters/modules/token-limit.ts", extended: true },
  "route-select": { entry: "filters/modules/route-select.ts", extended: true },
};

/** What each module was made from, as its build left it. */
export const sourcesFile = "build/filters-sources.json";

/** What every module is made with: the compiler's options and version, and what is done before and after it. */
const means = [
  "asconfig.json",
  "package-lock.json",
  ...["ascii-literals", "compile-filter", "pack-data"].map((name) => `tools/${name}.js`),
];

/** SHA-256 over all that a module is made from, in hexadecimal. @param {string} name */
function digestOf(name) {
  const hash = createHash("sha256").update(JSON.stringify(modules[name]));
  for (const path of means) hash.update(path).update(readFileSync(path));
  const sources = [...sourcesOf(modules[name]?.entry ?? "")].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, text] of sources) hash.update(path).update(text);
  return hash.digest("hex");
}

/**
 * The modules that are missing, or were made from other sources than those that lie here now, with
 * the digest of these.
 * @param {string[]} names
 */
export function staleModules(names) {
  const made = readJson(sourcesFile);
  return names
    .map((name) => ({ name, digest: digestOf(name) }))
    .filter(({ name, digest }) => !existsSync(`build/${name}.wasm`) || made[name] !== digest);
}

/** @param {string} file @returns {Record<string, any>} empty where there is none */
export function readJson(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
}
