import { readFileSync } from "node:fs";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { sourcesBelow } from "../house/sources.ts";

const page = readFileSync("docs/error-codes.md", "utf8");

/** What a section of the page names in the first column of its tables. */
function named(section: string): string[] {
  const [, text = ""] = page.split(new RegExp(`^## ${section}$`, "m"));
  const [own = ""] = text.split(/^## /m);
  return [...own.matchAll(/^\| `?([a-z0-9_-]+)`? +\|/gm)]
    .map(([, code = ""]) => code)
    .filter((code) => code !== "code" && !/^-+$/.test(code));
}

const sources = sourcesBelow("control")
  .filter((path) => !path.includes("/gen/") && !path.includes("/static/"))
  .map((path) => ({ path, text: readFileSync(path, "utf8") }));

function found(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(([, code = ""]) => code);
}

/** The arguments of every call of `log`, as they are written. */
function logCalls(text: string): string[] {
  return [...text.matchAll(/\blog\(/g)].map(({ index }) => {
    const begin = index + "log(".length;
    let depth = 1;
    let end = begin;
    for (; depth > 0 && end < text.length; end++) {
      if (text[end] === "(") depth++;
      if (text[end] === ")") depth--;
    }
    return text.slice(begin, end - 1).trim();
  });
}

const kebab = "[a-z][a-z0-9]*(?:-[a-z0-9]+)*";

describe("the page of error codes has every code, and no other", () => {
  it("with every cell filled", () => {
    expect(page.split("\n").filter((line) => /^\|.*\|\s+\|/.test(line))).toEqual([]);
  });

  it("of problems", () => {
    const said = sources.flatMap(({ path, text }) =>
      path.includes("/lint/")
        ? []
        : [
            ...found(new RegExp(`\\bcode: "(${kebab})"`, "g"), text),
            ...found(
              new RegExp(
                `\\b(?:lose|problem|refuse|refused|report|unread)\\(\\s*"(${kebab})",`,
                "g",
              ),
              text,
            ),
          ],
    );
    const problems = said.filter((code) => !named("Answers of the control service").includes(code));
    expect(
      [...new Set(problems)].filter((code) => !named("Problems of a document").includes(code)),
    ).toEqual([]);
    expect(named("Problems of a document").filter((code) => !said.includes(code))).toEqual([]);
    // Enough of them for the patterns above to be those that the sources follow.
    expect(said.length).toBeGreaterThan(120);
  });

  it("in the log", () => {
    const said = sources.flatMap(({ text }) =>
      logCalls(text).flatMap((call) => found(new RegExp(`,\\s*"(${kebab})",?$`, "g"), call)),
    );
    // Handed on by another name.
    const denied = sources.flatMap(({ text }) =>
      found(new RegExp(`\\b(?:denied|refusals)\\([^;]*,\\s*"(${kebab})",?\\s*\\);`, "g"), text),
    );
    expect([...new Set([...said, ...denied])].sort()).toEqual(named("Codes in the log").sort());
  });

  it("of the filters' refusals", () => {
    const said = sourcesBelow("filters")
      .filter((path) => path.endsWith("refusal.ts"))
      .flatMap((path) => {
        const text = readFileSync(path, "utf8");
        return [
          ...found(/"code":"([a-z_]+)"/g, text),
          ...found(
            /return "([a-z_]+)";/g,
            text.split("function codeOf(")[1]?.split("\n}")[0] ?? "",
          ),
        ];
      });
    expect([...new Set(said)].sort()).toEqual(named("Refusals of the filters").sort());
  });

  it("of the control service's answers", () => {
    // As the interceptors, the gate and the commands name them; the others have no place here.
    const thrown = sources.flatMap(({ path, text }) =>
      path.includes("/etcd") ? [] : found(/\bCode\.([A-Z][A-Za-z]+)/g, text),
    );
    const words = thrown.map((word) => word.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase());
    const known = Object.keys(Code).map((word) =>
      word.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase(),
    );
    expect(words.filter((code) => !named("Answers of the control service").includes(code))).toEqual(
      [],
    );
    expect(named("Answers of the control service").filter((code) => !known.includes(code))).toEqual(
      [],
    );
  });

  it("of exits", () => {
    expect(named("Exit codes of the commands")).toEqual(["0", "1", "2"]);
  });
});

it("the Istio guide has every finding, with its severity", () => {
  const guide = readFileSync("docs/istio.md", "utf8");
  const rows = found(/^\| (`[a-z-]+` +\| (?:error|warning|info)) +\|/gm, guide).map((row) =>
    row.replace(/ +/g, " "),
  );
  const lints = sources
    .filter(({ path }) => path.includes("/lint/"))
    .flatMap(({ text }) =>
      [...text.matchAll(new RegExp(`\\bid: "(${kebab})",\\s*severity: "(\\w+)"`, "g"))].map(
        ([, id, severity]) => `\`${id}\` | ${severity}`,
      ),
    );
  expect(rows.sort()).toEqual(lints.sort());
});
