// Says which test files can run on this machine, which cannot, and how to get the tools that are
// missing. Installs their Debian packages where it may: as root, or with a sudo that asks nothing.
//
//   node tools/test-needs.js          before `npm test`
//   node tools/test-needs.js --fast   before `npm run test:fast`: installs nothing
//   node tools/test-needs.js --json   what vitest.config.ts asks
import { install, missingTools } from "./needs/machine.js";
import { howToGet, isFast, isOfDefaultRun, needsOf, table, testFiles } from "./needs/table.js";

const fast = process.argv.includes("--fast");
if (process.argv.includes("--json")) await printJson();
else await report();

async function printJson() {
  const missing = await missingTools();
  const lacks = testFiles.map((file) => [file, lacksOf(file, missing)]);
  console.log(
    JSON.stringify({
      slow: testFiles.filter((file) => !isFast(file)),
      missing: Object.fromEntries(missing.map((name) => [name, howToGet(name)])),
      lacks: Object.fromEntries(lacks.filter(([, tools]) => tools?.length)),
    }),
  );
}

/** The tools that all of a file waits for, and that are missing. @param {string} file @param {string[]} missing */
function lacksOf(file, missing) {
  return needsOf(file)?.filter((need) => missing.includes(need)) ?? [];
}

async function report() {
  const files = testFiles.filter(fast ? isFast : isOfDefaultRun);
  const asked = Object.keys(table.tools).filter((tool) =>
    files.some((file) => needsOf(file)?.includes(tool) || table.parts[file]?.includes(tool)),
  );
  let missing = await missingTools(asked);
  let why = "";
  if (missing.length > 0 && !fast) {
    const refused = install(missing);
    if (refused !== undefined) why = `; nothing is installed: ${refused}`;
    missing = await missingTools(asked);
  }
  const whole = files.filter((file) => lacksOf(file, missing).length === 0);
  const cut = whole.filter((file) => table.parts[file]?.some((tool) => missing.includes(tool)));
  const partly = cut.length > 0 ? `, ${cut.length} of them in part` : "";
  console.log(`tests: ${whole.length} of ${files.length} files can run here${partly}${why}`);
  for (const tool of missing) {
    const out = files.filter((file) => needsOf(file)?.includes(tool));
    const parts = files.filter((file) => table.parts[file]?.includes(tool));
    const left = [...places(out), ...parts.map((file) => `a part of ${file}`)].join(", ");
    const verb = process.env.CI === undefined ? "leaves out" : "fails";
    console.log(`  no ${tool} (${table.tools[tool]?.for}): ${verb} ${left}`);
    console.log(`     to get it: ${howToGet(tool)}`);
  }
}

/** Files as a person counts them: a folder with several has its number. @param {string[]} files */
function places(files) {
  /** @type {Map<string, string[]>} */
  const folders = new Map();
  for (const file of files) {
    const folder = file.split("/").slice(0, 2).join("/");
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  return [...folders].map(([folder, inside]) =>
    inside.length === 1 ? inside[0] : `${folder} (${inside.length})`,
  );
}
