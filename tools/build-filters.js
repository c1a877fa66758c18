// Compiles the filters' modules to build/<name>.wasm, those whose sources have changed, as many at
// once as there are processors, and lists all with size and digest in build/filters.json.
//   node tools/build-filters.js [NAME...]    names: only these
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { compileFilter } from "./compile-filter.js";
import { modules, readJson, sourcesFile, staleModules } from "./filter-modules.js";

const listFile = "build/filters.json";
const [flag, ...names] = process.argv.slice(2);
if (flag === "--compile") await compile(String(names[0]));
else await buildAll(flag === undefined ? Object.keys(modules) : [flag, ...names]);

/** @param {string} name */
async function compile(name) {
  const { entry, extended, ranges } = modules[name] ?? { entry: "" };
  await compileFilter(entry, `build/${name}.wasm`, extended, ranges);
}

/** @param {string[]} wanted */
async function buildAll(wanted) {
  const unknown = wanted.find((name) => !Object.hasOwn(modules, name));
  if (unknown !== undefined) {
    console.error(
      `error: no module is called ${unknown}: known are ${Object.keys(modules).join(", ")}`,
    );
    process.exit(2);
  }
  mkdirSync("build", { recursive: true });
  for (const file of readdirSync("build"))
    if (file.endsWith(".wasm") && !Object.hasOwn(modules, file.slice(0, -".wasm".length)))
      rmSync(`build/${file}`);
  const stale = staleModules(wanted);
  const waiting = [...stale];
  let done = 0;
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { name, digest } = next;
      await compileApart(name);
      note(name, digest);
      console.error(`compiled ${name}.wasm (${++done} of ${stale.length})`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/** Compiles a module in a process of its own: the compiler takes one processor. @param {string} name */
async function compileApart(name) {
  const args = ["tools/build-filters.js", "--compile", name];
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code === 0) return;
  console.error(`error: ${name}.wasm could not be compiled`);
  process.exit(1);
}

/** Says what a module was made from, and that it is there. @param {string} name @param {string} digest */
function note(name, digest) {
  const wasm = readFileSync(`build/${name}.wasm`);
  const sha256 = createHash("sha256").update(wasm).digest("hex");
  const list = { ...readJson(listFile), [name]: { bytes: wasm.length, sha256 } };
  const listed = Object.keys(modules).filter((each) => Object.hasOwn(list, each));
  write(listFile, Object.fromEntries(listed.map((each) => [each, list[each]])));
  write(sourcesFile, { ...readJson(sourcesFile), [name]: digest });
}

/** @param {string} file @param {object} value */
function write(file, value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
