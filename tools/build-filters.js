// Compiles each filter to build/<name>.wasm (all/ to build/weir.wasm) and lists
// them with size and digest in build/filters.json. Names as arguments: only these.
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { compileFilter } from "./compile-filter.js";

const entries = {
  weir: "filters/all/index.ts",
  "weir-full": "filters/all/full.ts",
  "rate-limit": "filters/rate-limit/index.ts",
  compression: "filters/compression/index.ts",
  shadow: "filters/shadow/index.ts",
  canary: "filters/canary/index.ts",
  "token-limit": "filters/token-limit/index.ts",
};

rmSync("build", { recursive: true, force: true });
mkdirSync("build", { recursive: true });
/** @type {Record<string, { bytes: number, sha256: string }>} */
const list = {};
const wanted = process.argv.slice(2);
for (const [name, entry] of Object.entries(entries)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const wasm = await compileFilter(
    entry,
    `build/${name}.wasm`,
    ["weir-full", "token-limit"].includes(name),
    name === "weir-full",
  );
  list[name] = { bytes: wasm.length, sha256: createHash("sha256").update(wasm).digest("hex") };
}
writeFileSync("build/filters.json", `${JSON.stringify(list, null, 2)}\n`);
