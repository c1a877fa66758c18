import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { asciiLiterals, literalModule, literalSource } from "./ascii-literals.js";
import { leaveOut } from "./leave-out.js";
import { packData } from "./pack-data.js";

/** The optimizer that the compiler itself uses; once more over its output finds another percent. */
const wasmOpt = "node_modules/binaryen/bin/wasm-opt";
const features = [
  "mutable-globals",
  "sign-ext",
  "nontrapping-float-to-int",
  "bulk-memory",
  "bulk-memory-opt",
].map((feature) => `--enable-${feature}`);

/**
 * Reads sources for the compiler, the filters' own with their literals in one module.
 * @param {boolean} full
 * @returns {(name: string, base: string) => string | null}
 */
const reader = (full) => (name, base) => {
  if (name === `${literalModule}.ts`) return literalSource(sources(base));
  try {
    const text = readFileSync(join(base, name), "utf8");
    if (!name.startsWith("filters/")) return text;
    return asciiLiterals(full ? text : leaveOut(text), name);
  } catch {
    return null;
  }
};

/** @param {string} base */
function sources(base) {
  const files = readdirSync(join(base, "filters"), { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(join(base, "filters", file), "utf8"));
}

/**
 * Compiles a filter with the options of asconfig.json.
 * @param {string} entry its index file
 * @param {string} out
 * @param {boolean} full whether code under `if (FULL)` is compiled in: what only build/weir-full.wasm does
 * @returns {Promise<Buffer>} the module, as it lies in the file
 */
export async function compileFilter(entry, out, full = false) {
  const { error, stderr } = await asc.main(
    [entry, "--config", "asconfig.json", "--use", `abort=,FULL=${full ? 1 : 0}`, "--outFile", out],
    { readFile: reader(full) },
  );
  if (error) {
    console.error(stderr.toString());
    throw error;
  }
  execFileSync(process.execPath, [wasmOpt, out, ...features, "-Oz", "-o", out]);
  const wasm = packData(readFileSync(out));
  writeFileSync(out, wasm);
  return wasm;
}
