import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type ExportedName, exportsOf } from "./names.ts";
import { resolveImport } from "./sources.ts";

const declaration = (name: string) => RegExp(`^export (?:[a-z]+\\*? )+${name}\\b`, "m");

/** Whether a comment for readers ends right above a declaration; decorators may stand between. */
function isDocumented(file: string, name: string): boolean {
  const text = readFileSync(file, "utf8");
  const above = text
    .slice(0, text.search(declaration(name)))
    .split("\n")
    .slice(0, -1);
  while (/^(@|\/\/ (@ts-|biome-))/.test(above.at(-1) ?? "")) above.pop();
  return above.at(-1)?.trim().endsWith("*/") ?? false;
}

/** The exported name where it has no comment, as "file: name". */
function undocumented(file: string, { name, original = name, from }: ExportedName): string[] {
  if (from !== undefined) {
    const source = resolveImport(file, from) ?? from;
    const there = exportsOf(source).find((each) => each.name === original);
    return there ? undocumented(source, there) : [`${source}: ${original} is not found`];
  }
  return isDocumented(file, name) ? [] : [`${file}: ${name}`];
}

const cure = "write a /** comment */ right above each declaration";

it("everything that a room of control/ exports has a comment", () => {
  const facades = readdirSync("control")
    .map((room) => join("control", room, "index.ts"))
    .filter((file) => existsSync(file));
  const names = facades.flatMap((file) => exportsOf(file).map((each) => ({ file, each })));
  expect(names.length).toBeGreaterThan(200);
  expect(
    names.flatMap(({ file, each }) => undocumented(file, each)),
    cure,
  ).toEqual([]);
});

it("everything that filters/sdk exports has a comment", () => {
  const files = readdirSync("filters/sdk").map((name) => join("filters/sdk", name));
  const names = files.flatMap((file) => exportsOf(file).map((each) => ({ file, each })));
  expect(names.length).toBeGreaterThan(80);
  expect(
    names.flatMap(({ file, each }) => undocumented(file, each)),
    cure,
  ).toEqual([]);
});
