import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * @typedef {object} Tool
 * @property {string} for what the tests do with it
 * @property {string[][]} runs commands of which one has to end with 0
 * @property {string} [variable] an environment variable that names one
 * @property {string} [atLeast] the oldest version that is enough
 * @property {string} [package] what Debian calls its package
 * @property {string} [get] how to get it where no package will do
 * @property {boolean} [heavy] whether `npm run test:fast` leaves out what needs it
 */

/** @type {{tools: Record<string, Tool>, suites: Record<string, string[]>, parts: Record<string, string[]>}} */
export const table = JSON.parse(
  readFileSync(new URL("../../test/needs.json", import.meta.url), "utf8"),
);

/** What a suite needs that takes long, whatever is on the machine. */
const time = "time";

/** Every test file. */
export const testFiles = readdirSync("test", { recursive: true })
  .map((name) => join("test", String(name)))
  .filter((name) => name.endsWith(".test.ts"))
  .sort();

/** Whether `npm test` has a test file; the others are of the long run. @param {string} file */
export function isOfDefaultRun(file) {
  return !file.startsWith("test/inference/large/");
}

/** What all of a test file needs: what its folder needs, unless the table names the file. @param {string} file */
export function needsOf(file) {
  for (let place = file; place.includes("/"); place = place.slice(0, place.lastIndexOf("/"))) {
    const needs = table.suites[place];
    if (needs !== undefined) return needs;
  }
  return undefined;
}

/** Whether `npm run test:fast` has a test file. @param {string} file */
export function isFast(file) {
  const needs = needsOf(file)?.concat(table.parts[file] ?? []);
  return needs?.every((need) => need !== time && !table.tools[need]?.heavy) ?? false;
}

/** How to get a tool. @param {string} name */
export function howToGet(name) {
  const tool = table.tools[name];
  return tool?.get ?? `apt-get install ${tool?.package}`;
}
