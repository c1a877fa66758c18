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

/** To be ended: each of them is taken off the list with its `export`. */
const stillDead = [
  "filters/compression/config.ts: NEVER",
  "filters/format/json-scan.ts: MOST_SCAN_DEPTH",
  "filters/format/json-text.ts: utf8Length",
  "filters/format/json.ts: MOST_DEPTH",
  "filters/format/json.ts: MOST_BYTES",
  "filters/identity/identify.ts: keyKind",
  "filters/identity/index.ts: KeySource",
  "filters/identity/sources.ts: FORWARDED_SAN",
  "filters/match/read.ts: PREFIX",
  "filters/sdk/index.ts: tagOf",
  "filters/rate-limit/bucket/shared-bucket.ts: UNAVAILABLE",
  "filters/rate-limit/overload/overload-config.ts: OverloadPolicy",
  "filters/token-limit/apis/index.ts: READS",
  "filters/token-limit/apis/table.ts: levelOf",
  "filters/token-limit/prompt/maximum.ts: grant",
];

describe.each(["control", "filters"])("%s/", (folder) => {
  it("exports only what another file takes", () => {
    const dead = sourcesBelow(folder).flatMap(deadIn);
    expect(dead.filter((each) => !stillDead.includes(each))).toEqual([]);
  });
});
