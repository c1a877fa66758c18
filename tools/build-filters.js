// Compiles each filter to build/<name>.wasm (all/ to build/weir.wasm) and lists
// them with size and digest in build/filters.json.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { asciiLiterals } from "./ascii-literals.js";
import { packData } from "./pack-data.js";

const entries = {
  weir: "filters/all/index.ts",
  "rate-limit": "filters/rate-limit/index.ts",
  compression: "filters/compression/index.ts",
  shadow: "filters/shadow/index.ts",
  canary: "filters/canary/index.ts",
};

/** Reads sources for the compiler, the filters' own with their literals packed. */
const readFile = (/** @type {string} */ name, /** @type {string} */ base) => {
  try {
    const text = readFileSync(join(base, name), "utf8");
    return name.startsWith("filters/") ? asciiLiterals(text, name) : text;
  } catch {
    return null;
  }
};

rmSync("build", { recursive: true, force: true });
mkdirSync("build", { recursive: true });
/** @type {Record<string, { bytes: number, sha256: string }>} */
const list = {};
for (const [name, entry] of Object.entries(entries)) {
  const out = `build/${name}.wasm`;
  const { error, stderr } = await asc.main([entry, "--config", "asconfig.json", "--outFile", out], {
    readFile,
  });
  if (error) {
    console.error(stderr.toString());
    throw error;
  }
  const wasm = packData(readFileSync(out));
  writeFileSync(out, wasm);
  list[name] = { bytes: wasm.length, sha256: createHash("sha256").update(wasm).digest("hex") };
}
writeFileSync("build/filters.json", `${JSON.stringify(list, null, 2)}\n`);
