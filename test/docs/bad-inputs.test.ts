import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Titles of all tests, also those that are data. */
function titles(): string {
  const files = readdirSync("test", { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".test.ts") || /^vectors\/.*\.json$/.test(name),
  );
  return files.map((name) => readFileSync(`test/${name}`, "utf8")).join("\n");
}

it("each row of the page of bad inputs has a test that bears its id", () => {
  const rows = [
    ...readFileSync("docs/bad-inputs.md", "utf8").matchAll(/^\| ([FHBV]\d+) +\|/gm),
  ].map(([, id]) => id as string);
  expect(rows).toHaveLength(16 + 14 + 23 + 9);
  const all = titles();
  const missing = rows.filter((id) => !new RegExp(`["'\`]${id} `).test(all));
  expect(missing).toEqual([]);
});
