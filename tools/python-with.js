// Prints a Python with packages, in an environment of its own below the user's cache that is made once.
//
//   node tools/python-with.js [--progress] NAME PACKAGE==VERSION...
//
// pip says nothing, or with --progress what it does, on stderr.
import { createHash } from "node:crypto";
import { pip, pythonOnce, run } from "./python-environment.js";

const progress = process.argv.includes("--progress");
const [name, ...packages] = process.argv.slice(2).filter((each) => each !== "--progress");
if (name === undefined || packages.length === 0) {
  console.error("usage: node tools/python-with.js [--progress] NAME PACKAGE==VERSION...");
  process.exit(2);
}
const which = createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 12);
const quiet = progress ? [] : ["--quiet"];
console.log(pythonOnce(`${name}-${which}`, (python) => run(python, ...pip, ...quiet, ...packages)));
