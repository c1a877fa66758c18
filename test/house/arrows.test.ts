import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { exportsOf } from "./names.ts";
import { roomTables, sideDoors, sides } from "./rooms.ts";
import { importsOf, sourcesBelow } from "./sources.ts";

const inRoom = (file: string) => file.split("/")[1] ?? "";

/** Where a file lies in its room: a folder, a file that is named by itself, or "." for the rest. */
function partOf(file: string, parts: Record<string, string[]>): string {
  const [, , inner = "", ...deeper] = file.split("/");
  return deeper.length > 0 || inner in parts ? inner : ".";
}

describe.each(Object.entries(sides))("%s/", (folder, rooms) => {
  const files = sourcesBelow(folder);
  const arrows = files.flatMap((file) =>
    importsOf(file)
      .filter((target) => !target.startsWith("control/gen/"))
      .map((target) => ({ file, target, text: `${file} -> ${target}` })),
  );
  const between = arrows.filter(({ file, target }) => inRoom(file) !== inRoom(target));

  it("has only rooms with a place in the order", () => {
    expect(
      [...new Set(files.map(inRoom))].sort(),
      "give each folder an entry in test/house/rooms.ts: its sentence, and the rooms it imports",
    ).toEqual(Object.keys(rooms).sort());
  });
  it("imports only downwards, and nothing from the other side", () => {
    const wrong = between.filter(
      ({ file, target }) =>
        !target.startsWith(`${folder}/`) || !rooms[inRoom(file)]?.imports.includes(inRoom(target)),
    );
    expect(
      wrong.map(({ text }) => text),
      "move the code, or allow the import in test/house/rooms.ts where it makes no cycle of rooms",
    ).toEqual([]);
  });
  it("lists no arrow that nothing needs", () => {
    const needed = new Set(
      between.map(({ file, target }) => `${inRoom(file)} -> ${inRoom(target)}`),
    );
    const listed = Object.entries(rooms).flatMap(([room, { imports }]) =>
      imports.map((each) => `${room} -> ${each}`),
    );
    expect(
      listed.filter((each) => !needed.has(each)),
      "nothing imports so any more: take it out of test/house/rooms.ts",
    ).toEqual([]);
  });
  it("imports only downwards within a room", () => {
    const wrong = arrows.filter(({ file, target }) => {
      const parts = rooms[inRoom(file)]?.parts;
      if (
        !parts ||
        inRoom(file) !== inRoom(target) ||
        file === `${folder}/${inRoom(file)}/index.ts`
      )
        return false;
      const [from, to] = [partOf(file, parts), partOf(target, parts)];
      return from !== to && !parts[from]?.includes(to);
    });
    expect(
      wrong.map(({ text }) => text),
      "move the code, or allow the import in the room's parts in test/house/rooms.ts",
    ).toEqual([]);
  });
  it("lists the folders of its divided rooms, and no others", () => {
    const found = files.flatMap((file) => {
      const { parts } = rooms[inRoom(file)] ?? {};
      return parts ? [`${inRoom(file)}/${partOf(file, parts)}`] : [];
    });
    const listed = Object.entries(rooms).flatMap(([room, { parts = {} }]) =>
      Object.keys(parts).map((part) => `${room}/${part}`),
    );
    const doors = (each: string) => !each.endsWith("/.");
    expect(
      [...new Set(found)].filter(doors).sort(),
      "the parts of a divided room stand in test/house/rooms.ts",
    ).toEqual(listed.filter(doors).sort());
  });
  it("enters a room by its index.ts, where it has one", () => {
    const past = between.filter(({ target }) => {
      const door = `${folder}/${inRoom(target)}/index.ts`;
      return files.includes(door) && target !== door && !sideDoors.includes(target);
    });
    expect(
      past.map(({ text }) => text),
      "import the room's index.ts, and export there what is needed",
    ).toEqual([]);
  });
  it("has no import cycle", () => {
    expect(cycles(files)).toEqual([]);
  });
  it("has no file of more than 300 lines", () => {
    const long = files.filter((file) => readFileSync(file, "utf8").split("\n").length > 300);
    expect(long, "divide what has more than one idea").toEqual([]);
  });
});

it("has Proxy-Wasm's callbacks only in the modules", () => {
  const callbacks = sourcesBelow("filters").filter((file) =>
    exportsOf(file).some(({ name }) => /^proxy_on_(?!memory_allocate)/.test(name)),
  );
  expect(callbacks.filter((file) => !file.startsWith("filters/modules/"))).toEqual([]);
});

it("has a side door only where someone goes through it", () => {
  const used = new Set(
    sourcesBelow("control").flatMap((file) =>
      importsOf(file).map((target) => (inRoom(file) === inRoom(target) ? "" : target)),
    ),
  );
  expect(sideDoors.filter((door) => !used.has(door))).toEqual([]);
});

it("docs/architecture.md has each room with its sentence", () => {
  const rowsOf = (text: string) =>
    text
      .split("\n")
      .filter((line) => /^\| `(?:control|filters)\//.test(line))
      .map((line) => line.replaceAll(/ +/g, " "));
  expect(
    rowsOf(readFileSync("docs/architecture.md", "utf8")),
    "make the tables in docs/architecture.md those of test/house/rooms.ts",
  ).toEqual(rowsOf(roomTables()));
});

it("names only paths in its documents that exist", () => {
  const missing = [
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "docs/security.md",
    "docs/reliability.md",
    "docs/own-filter/README.md",
    ...readdirSync("docs/decisions").map((name) => `docs/decisions/${name}`),
  ].flatMap((document) => {
    const text = readFileSync(document, "utf8");
    const paths = [
      ...text.matchAll(
        /`((?:control|filters|proto|istio|examples|test|bench|docs|tools)\/[\w./-]*)`/g,
      ),
    ].map(([, path = ""]) => path);
    return paths.filter((path) => !existsSync(path)).map((path) => `${document}: ${path}`);
  });
  expect(missing).toEqual([]);
});

/** Files on a cycle of imports, each once. */
function cycles(files: readonly string[]): string[] {
  const state = new Map<string, "open" | "done">();
  const found: string[] = [];
  const visit = (file: string): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push(file);
      return;
    }
    state.set(file, "open");
    for (const target of importsOf(file)) visit(target);
    state.set(file, "done");
  };
  for (const file of files) visit(file);
  return found;
}
