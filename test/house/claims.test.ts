import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("has a test for every claim that its documents make", () => {
  const claims = readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .flatMap((name) => [
      ...readFileSync(`docs/${name}`, "utf8").matchAll(/`(test\/[\w./-]+\.test\.ts)`: ([^|\n]+)/g),
    ]);
  expect(claims.length).toBeGreaterThan(15);
  const missing = claims.filter(
    ([, file = "", test = ""]) => !readFileSync(file, "utf8").includes(test.trim()),
  );
  expect(missing.map(([claim]) => claim)).toEqual([]);
});

it("has a test for every row of its faults and bad inputs", () => {
  const rows = [...readFileSync("docs/faults.md", "utf8").matchAll(/^\| ([ADX]\d+) +\|/gm)];
  const to = (letter: string, last: number) =>
    Array.from({ length: last }, (_, i) => `${letter}${i + 1}`);
  expect(rows.map(([, row]) => row)).toEqual([...to("A", 12), ...to("D", 12), ...to("X", 17)]);
});
