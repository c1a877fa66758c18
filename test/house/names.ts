import { readFileSync } from "node:fs";
import { resolveImport } from "./sources.ts";

/** What a file takes of another one; `names` is undefined where it may take everything. */
export interface Taken {
  target: string;
  names: string[] | undefined;
}

export interface ExportedName {
  name: string;
  isType: boolean;
  /** Where a re-export has it from, and its name there. */
  from?: string;
  original?: string;
}

/** Everything of a list of names in braces: what is taken, and under which name it goes on. */
function listed(braces: string): { name: string; as: string; isType: boolean }[] {
  return braces
    .replaceAll(/\/\/[^\n]*/g, "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .map((each) => {
      const [name = "", as = name] = each.replace(/^type\s+/, "").split(/\s+as\s+|\s*:\s*/);
      return { name, as, isType: each.startsWith("type ") };
    });
}

/** What a file imports by name, types in comments of JavaScript included, or hands on. */
export function takenBy(file: string): Taken[] {
  const text = readFileSync(file, "utf8");
  const found: { path: string; names: string[] | undefined }[] = [];
  // import { a, type B } from, export { a } from, @import { A } from; a default import may stand in front.
  for (const [, braces = "", path = ""] of text.matchAll(
    /(?:import|export)(?:\s+type)?\s+(?:\w+,\s*)?\{([^}]*)\}\s*from\s+"([^"]+)"/g,
  ))
    found.push({ path, names: listed(braces).map(({ name }) => name) });
  for (const [, path = ""] of text.matchAll(/(?:import|export)\s+\*[^;"]*from\s+"([^"]+)"/g))
    found.push({ path, names: undefined });
  // const { a } = await import(...), (await import(...)).a, import(...).A, and any other use.
  for (const [, braces, path = "", name] of text.matchAll(
    /(?:\{([^{}]*)\}\s*=\s*await\s+)?import\(\s*"([^"]+)"\s*,?\s*\)\)?(?:\s*\.(?!then\b)(\w+))?/g,
  )) {
    const names = braces !== undefined ? listed(braces).map((each) => each.name) : undefined;
    found.push({ path, names: name === undefined ? names : [name] });
  }
  return found.flatMap(({ path, names }) => {
    const target = resolveImport(file, path);
    return target === undefined ? [] : [{ target, names }];
  });
}

/** The names that a file exports, with `export *` left to those who look into its source. */
export function exportsOf(file: string): ExportedName[] {
  const text = readFileSync(file, "utf8");
  const declared = [
    ...text.matchAll(
      /^(?:@\w+(?:\([^)]*\))?\s+)*export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(function\*?|const|let|class|interface|type|enum)\s+(\w+)/gm,
    ),
  ].map(([, kind = "", name = ""]) => ({ name, isType: kind === "interface" || kind === "type" }));
  const handed = [
    ...text.matchAll(/^export(\s+type)?\s+\{([^}]*)\}(?:\s*from\s+"([^"]+)")?/gm),
  ].flatMap(([, type, braces = "", from]) =>
    listed(braces).map(({ name, as, isType }) => ({
      name: as,
      isType: isType || type !== undefined,
      ...(from === undefined ? {} : { from, original: name }),
    })),
  );
  return [...declared, ...handed];
}
