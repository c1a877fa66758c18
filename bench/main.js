// Runs the benchmarks: `npm run bench` all of them, `npm run bench -- filters` one.
import { readdirSync } from "node:fs";

const all = readdirSync(new URL(".", import.meta.url))
  .filter((name) => name.endsWith(".bench.js"))
  .map((name) => name.replace(".bench.js", ""));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`error: no benchmark ${unknown.join(", ")}: there are ${all.join(", ")}`);
  process.exit(2);
}
for (const name of wanted.length > 0 ? wanted : all) {
  console.log(`\n# ${name}`);
  const { run } = await import(`./${name}.bench.js`);
  await run();
}
