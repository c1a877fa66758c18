import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import asc from "assemblyscript/asc";
import { asciiLiterals, literalsFile } from "./ascii-literals.js";
import { packData } from "./pack-data.js";

/**
 * The optimizer that the compiler itself uses; once more over its output finds
 * another hundredth or two. Never with --ignore-implicit-traps: that also moves a load
 * before the check that guards it, and a load from nowhere ends the VM.
 */
const wasmOpt = "node_modules/binaryen/bin/wasm-opt";
const passes = ["-Oz", "--converge", "--const-hoisting"];
const features = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "bulk-memory",
  "bulk-memory-opt",
].map((feature) => `--enable-${feature}`);

/** The constants that modules differ in. */
const buildFile = "filters/sdk/build.ts";

/** Sets constants of a source. @param {string} source @param {Record<string, boolean>} values */
function withValues(source, values) {
  return Object.entries(values).reduce((text, [name, value]) => {
    const before = `export const ${name}: bool = false;`;
    if (!text.includes(before)) throw new Error(`${buildFile} has no ${name}`);
    return text.replace(before, `export const ${name}: bool = ${value};`);
  }, source);
}

/** Paths of a file and of all that it imports, directly or not. @param {string} entry */
function program(entry) {
  const paths = new Set([normalize(entry)]);
  for (const path of paths)
    for (const [, from] of readFileSync(path, "utf8").matchAll(/\bfrom "(\.[^"]+)"/g)) {
      const target = join(dirname(path), String(from));
      paths.add(existsSync(`${target}.ts`) ? `${target}.ts` : join(target, "index.ts"));
    }
  return [...paths];
}

/**
 * The program's sources by path, as the compiler is to see them: with their literals
 * replaced, and the file that holds these.
 * @param {string} entry in the folder that holds filters/, as a path from there
 */
export function sourcesOf(entry) {
  const pool = new Map();
  const sources = new Map(
    program(entry).map((path) => {
      const text = readFileSync(path, "utf8");
      return [path, asciiLiterals(text, path, pool)];
    }),
  );
  return sources.set("filters/sdk/literals.ts", literalsFile(pool));
}

/**
 * Compiles a filter with the options of asconfig.json.
 * @param {string} entry its index file
 * @param {string} out
 * @param {boolean} extended whether the module has what only some routes ask for; see filters/sdk/build.ts
 * @param {boolean} ranges whether it tells ranges of addresses, likewise
 * @returns {Promise<Buffer>} the module, as it lies in the file
 */
export async function compileFilter(entry, out, extended = false, ranges = false) {
  const sources = sourcesOf(entry);
  const constants = sources.get(buildFile);
  if (constants)
    sources.set(buildFile, withValues(constants, { EXTENDED: extended, RANGES: ranges }));
  const { error, stderr } = await asc.main([entry, "--config", "asconfig.json", "--outFile", out], {
    readFile(name, base) {
      const path = join(base, name);
      return sources.get(name) ?? (existsSync(path) ? readFileSync(path, "utf8") : null);
    },
  });
  if (error) {
    console.error(stderr.toString());
    throw error;
  }
  // One run is too short for node's own optimizing compiler to pay.
  execFileSync(process.execPath, [
    "--liftoff-only",
    wasmOpt,
    out,
    ...features,
    ...passes,
    "-o",
    out,
  ]);
  const wasm = packData(readFileSync(out));
  writeFileSync(out, wasm);
  return wasm;
}
