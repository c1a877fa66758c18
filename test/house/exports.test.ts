import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exportsOf, takenBy } from "./names.ts";
import { sourcesBelow } from "./sources.ts";

/** What runs by itself: nobody imports what it exports. */
const isEntry = (file: string) => file === "control/main.ts" || file.startsWith("filters/modules/");

const everywhere = ["control", "filters", "tools", "bench", "test"].flatMap(sourcesBelow);
const takenByFile = new Map(everywhere.map((file) => [file, takenBy(file)]));

/** Names by the file they are taken of; undefined where someone takes everything. */
const taken = new Map<string, Set<string> | undefined>();
for (const each of takenByFile.values())
  for (const { target, names } of each) {
    const known = taken.has(target) ? taken.get(target) : new Set<string>();
    taken.set(target, names && known && new Set([...known, ...names]));
  }

/**
 * A name that no other file takes. A type may be exported for the signatures of its own file:
 * whoever calls them meets it without naming it.
 */
function deadIn(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const names = taken.has(file) ? taken.get(file) : new Set<string>();
  if (names === undefined || isEntry(file)) return [];
  return exportsOf(file)
    .filter(({ name }) => !names.has(name))
    .filter(
      ({ name, isType, from }) =>
        !isType ||
        from !== undefined ||
        [...text.matchAll(RegExp(`\\b${name}\\b`, "g"))].length < 2,
    )
    .map(({ name }) => `${file}: ${name}`);
}

describe.each(["control", "filters"])("%s/", (folder) => {
  it("exports only what another file takes", () => {
    expect(
      sourcesBelow(folder).flatMap(deadIn),
      "no other file imports these: take `export` away, or the code if nothing uses it",
    ).toEqual([]);
  });
});

it("filters/ has no exported variable: a result is returned, or is in a struct that its caller holds", () => {
  const variables = sourcesBelow("filters").filter((file) =>
    /^export let /m.test(readFileSync(file, "utf8")),
  );
  expect(variables).toEqual([]);
});
