import { describe, expect, it } from "vitest";
import { parsePolicy } from "../../control/auth/policy.ts";
import { readObjects } from "../../control/objects/index.ts";
import { parseRolloutText } from "../../control/rollout/index.ts";
import { parseRoutes } from "../../control/route/index.ts";
import { weir } from "../e2e/weir-up.ts";

const levels = 40_000;
const texts: Record<string, string> = {
  lists: "[".repeat(levels) + "]".repeat(levels),
  "lists that do not end": "[".repeat(levels),
  objects: `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`,
  "lists in lines": "- ".repeat(levels),
  "keys of keys": "? ".repeat(levels),
  mappings: Array.from({ length: 1_200 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
  "the second document": `a: 1\n---\n${"[".repeat(levels)}`,
};
const problem = /is nested more than 200 levels deep at line \d+/;

describe.each(Object.entries(texts))("%s that are nested without an end", (_name, text) => {
  it("are refused in a route, in few words", () => {
    const { problems } = parseRoutes(text);
    expect(problems).toEqual([{ code: "yaml", path: "", message: expect.stringMatching(problem) }]);
  });
  it("are refused in a rollout, an access file and objects of a cluster", () => {
    expect(parseRolloutText(text).problems[0]?.message).toMatch(problem);
    expect(() => parsePolicy(text)).toThrow(problem);
    expect(() => readObjects(text)).toThrow(problem);
  });
});

it.each([
  ["lists", "yaml"],
  ["objects", "json"],
  ["mappings", "sarif"],
])("weir check says so of %s, as %s", async (name, output) => {
  const { code, stdout, stderr } = await weir(["check", "-f", "-", "-o", output], texts[name]);
  expect(`${stdout}${stderr}`).toMatch(problem);
  expect(code).toBe(1);
});

it("what people write is not", () => {
  const deep = `${"[".repeat(150)}1${"]".repeat(150)}`;
  expect(readObjects(`kind: A\nmetadata: { name: a }\nspec: ${deep}`)).toHaveLength(1);
  const quoted = `kind: A\nmetadata: { name: a }\nspec: "${"[".repeat(5_000)}"`;
  expect(readObjects(quoted)).toHaveLength(1);
});
