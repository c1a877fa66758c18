import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** A test that a page names: its file, and a part of its name. */
interface Claim {
  page: string;
  file: string;
  name: string;
}

/** Those of a cell of a table, which may name several one after the other. */
const claim = /`(test\/[\w./-]+\.test\.ts)`: ((?:(?!`test\/)[^|\n])+)/g;
const claims: Claim[] = readdirSync("docs", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".md"))
  .flatMap((page) =>
    [...readFileSync(`docs/${page}`, "utf8").matchAll(claim)].map(
      ([, file = "", name = ""]): Claim => ({ page, file, name: name.trim().replace(/;$/, "") }),
    ),
  );
const files = new Set(claims.map(({ file }) => file));

/** Parts of the texts in a file's quotes, each on one line: names of tests are among them. */
const quoted = (source: string) =>
  source
    .split("\n")
    .filter((line) => !/^\s*(\/\/|\*|\/\*)/.test(line))
    .flatMap((line) => [...line.matchAll(/"((?:\\.|[^"\\])*)"|`([^`]*)`|'((?:\\.|[^'\\])*)'/g)])
    .map(([, double, back, single]) => (double ?? back ?? single ?? "").replaceAll('\\"', '"'));

/** A part that a developer's machine may leave out for want of a tool; the continuous build may not. */
const mayBeAbsent = /^without\("[\w.", -]+"$/;

describe("the claims of the documents", () => {
  it("have a test each, by its name", () => {
    expect(claims.length).toBeGreaterThan(100);
    const missing = claims.filter(
      ({ file, name }) => !quoted(readFileSync(file, "utf8")).some((text) => text.includes(name)),
    );
    expect(missing, "no test of the file has this in its name: correct the page").toEqual([]);
  });

  it("have tests that run each time", () => {
    const skipped = [...files].flatMap((file) => {
      const source = readFileSync(file, "utf8");
      const never = [...source.matchAll(/\b(?:it|test|describe)\.(?:skip|todo|only|fails)\b/g)];
      const at = [...source.matchAll(/\.(?:skipIf|runIf)\(([^)]*)\)/g)].filter(
        ([, when = ""]) => !mayBeAbsent.test(when),
      );
      return [...never, ...at].map(([found]) => `${file}: ${found}`);
    });
    expect(skipped).toEqual([]);
    const { scripts } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(scripts.test).toBe("vitest run");
    const config = readFileSync("vitest.config.ts", "utf8");
    expect(config).toContain('include: ["test/**/*.test.ts"]');
  });

  it("are in every row of a table of claims", () => {
    const bare = ["security.md", "reliability.md", "edge.md", "failover.md", "faults.md"].flatMap(
      (page) => {
        let hasTests = false;
        return readFileSync(`docs/${page}`, "utf8")
          .split("\n")
          .filter((line) => {
            if (!line.startsWith("|")) hasTests = false;
            else if (/\| test +\|$/.test(line)) hasTests = true;
            else return hasTests && !line.startsWith("| ---") && !/`test\/.*\|$/.test(line);
            return false;
          });
      },
    );
    expect(bare).toEqual([]);
  });
});

it("has a test for every row of its faults and bad inputs", () => {
  const rows = [...readFileSync("docs/faults.md", "utf8").matchAll(/^\| ([ADX]\d+) +\|/gm)];
  const to = (letter: string, last: number) =>
    Array.from({ length: last }, (_, i) => `${letter}${i + 1}`);
  expect(rows.map(([, row]) => row)).toEqual([...to("A", 12), ...to("D", 22), ...to("X", 23)]);
});
