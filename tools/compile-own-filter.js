// Compiles a filter that is no module of Weir's, with what filters/sdk needs.
//   node tools/compile-own-filter.js ENTRY OUT    paths from the project's folder, e.g.
//   node tools/compile-own-filter.js docs/own-filter/filter.ts .cache/own-filter.wasm
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { compileFilter } from "./compile-filter.js";

const [entry, out] = process.argv.slice(2);
if (entry === undefined || out === undefined) {
  console.error("usage: node tools/compile-own-filter.js ENTRY OUT");
  process.exit(2);
}
mkdirSync(dirname(out), { recursive: true });
const wasm = await compileFilter(entry, out);
console.error(`compiled ${out}, ${wasm.length} bytes`);
