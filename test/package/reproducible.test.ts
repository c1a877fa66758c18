import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cloneTo } from "./clone.ts";

// The long run builds all modules again, the default one the smallest of the four in one.
const only = process.env.WEIR_LONG === undefined ? ["compression"] : [];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-rebuild-"));
  cloneTo(folder);
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("the modules come out the same from a clean copy elsewhere", { timeout: 900_000 }, () => {
  const listed = JSON.parse(readFileSync("build/filters.json", "utf8"));
  execFileSync(process.execPath, ["tools/build-filters.js", ...only], { cwd: folder });
  const again = JSON.parse(readFileSync(join(folder, "build/filters.json"), "utf8"));
  const names = only.length > 0 ? only : Object.keys(listed);
  expect(Object.keys(again)).toEqual(names);
  for (const name of names) {
    expect(again[name]).toEqual(listed[name]);
    const wasm = (place: string) => readFileSync(join(place, `build/${name}.wasm`));
    expect(wasm(folder).equals(wasm("."))).toBe(true);
  }
});
