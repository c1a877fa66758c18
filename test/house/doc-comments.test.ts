import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";

/** Names that a file exports from elsewhere, with the file that they come from. */
function passedOn(file: string): [string, string][] {
  const statements = readFileSync(file, "utf8").matchAll(
    /^export (?:type )?\{([^}]*)\} from "(\.[^"]+)"/gms,
  );
  return [...statements].flatMap(([, names = "", path = ""]) => {
    const from = normalize(join(dirname(file), path));
    return namesIn(names).map((name): [string, string] => [name, sourceOf(from)]);
  });
}

/** AssemblyScript imports without an ending. */
function sourceOf(path: string): string {
  return (
    [path, `${path}.ts`, `${path}/index.ts`].find(
      (each) => each.endsWith(".ts") && existsSync(each),
    ) ?? path
  );
}

/** The names of a list in braces, as they are called where they come from. */
function namesIn(list: string): string[] {
  return list
    .split(",")
    .map((each) =>
      each
        .trim()
        .replace(/^type /, "")
        .replace(/ as .*$/, ""),
    )
    .filter((each) => each !== "");
}

const declaration =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|class|interface|type|const|let|enum) (\w+)/gm;

/** Names that a file declares and exports, with the line of the declaration. */
function declaredIn(file: string): Map<string, number> {
  const text = readFileSync(file, "utf8");
  return new Map(
    [...text.matchAll(declaration)].map((found) => [
      found[1] ?? "",
      text.slice(0, found.index).split("\n").length,
    ]),
  );
}

/** Whether a comment for readers ends right above a line; decorators may stand between. */
function isDocumented(file: string, line: number): boolean {
  const above = readFileSync(file, "utf8")
    .split("\n")
    .slice(0, line - 1);
  while (/^(@|\/\/ (@ts-|biome-))/.test(above.at(-1) ?? "")) above.pop();
  return above.at(-1)?.trim().endsWith("*/") ?? false;
}

/** Exported names without a comment, as "file: name". */
function undocumented(file: string, name: string): string[] {
  const line = declaredIn(file).get(name);
  if (line !== undefined) return isDocumented(file, line) ? [] : [`${file}: ${name}`];
  const further = passedOn(file).find(([each]) => each === name);
  return further ? undocumented(further[1], name) : [`${file}: ${name} is not found`];
}

const cure = "write a /** comment */ right above each declaration";

it("everything that a room of control/ exports has a comment", () => {
  const facades = readdirSync("control")
    .map((room) => join("control", room, "index.ts"))
    .filter((file) => existsSync(file));
  const names = facades.flatMap((file) => [
    ...[...declaredIn(file).keys()].map((name): [string, string] => [name, file]),
    ...passedOn(file),
  ]);
  expect(names.length).toBeGreaterThan(200);
  expect(
    names.flatMap(([name, file]) => undocumented(file, name)),
    cure,
  ).toEqual([]);
});

it("everything that filters/sdk exports has a comment", () => {
  const files = readdirSync("filters/sdk").map((name) => join("filters/sdk", name));
  const names = files.flatMap((file) =>
    [...declaredIn(file).keys()].map((name): [string, string] => [name, file]),
  );
  expect(names.length).toBeGreaterThan(80);
  expect(
    names.flatMap(([name, file]) => undocumented(file, name)),
    cure,
  ).toEqual([]);
});
