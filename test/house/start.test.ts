import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";

/** All that a file needs before it begins: its imports, theirs and so on, packages by their names. */
function neededBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  if (!existsSync(file)) return seen;
  const statements = readFileSync(file, "utf8").matchAll(
    /^(?:import|export) (?!type)[^;]*?from "([^"]+)"/gms,
  );
  for (const [, path = ""] of statements) {
    if (path.startsWith(".")) neededBy(normalize(join(dirname(file), path)), seen);
    else seen.add(path);
  }
  return seen;
}

it("the command line begins without what few commands need: stores, Envoy's messages, clients for load", () => {
  const needed = [...neededBy("control/main.ts")];
  expect(needed).toContain("control/cli/program.ts");
  const dear =
    /^(lmdb|undici|control\/(gen\/envoy|gen\/weir\/v1\/comments|store\/open|kube|load\/drive|service)\b.*)/;
  expect(needed.filter((each) => dear.test(each))).toEqual([]);
});
