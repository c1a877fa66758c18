import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";

let folder: string;
const made = () =>
  ["shadow", "canary"].map((name) => statSync(join(folder, `build/${name}.wasm`)).mtimeMs);
const build = (...names: string[]) =>
  spawnSync(process.execPath, ["tools/build-filters.js", ...names], {
    cwd: folder,
    encoding: "utf8",
  });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-fresh-"));
  for (const each of [
    "filters",
    "control",
    "tools",
    "build",
    "dist",
    "asconfig.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "package.json",
    "package-lock.json",
  ])
    cpSync(each, join(folder, each), { recursive: true, preserveTimestamps: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("what was compiled from the sources as they are is not compiled again", () => {
  const before = made();
  expect(build()).toMatchObject({ status: 0, stderr: "" });
  expect(made()).toEqual(before);
});

it("a change compiles the modules that it is in, alone, and the list goes with it", () => {
  const [shadow = 0, canary = 0] = made();
  const listed = () => JSON.parse(readFileSync(join(folder, "build/filters.json"), "utf8"));
  const before = listed();
  appendFileSync(
    join(folder, "filters/modules/shadow.ts"),
    "export function added(): i32 { return 7; }\n",
  );
  const { stderr, status } = build("shadow", "canary");
  expect({ stderr, status }).toEqual({ stderr: "compiled shadow.wasm (1 of 1)\n", status: 0 });
  expect(made()[0]).toBeGreaterThan(shadow);
  expect(made()[1]).toBe(canary);
  expect(Object.keys(listed())).toEqual(Object.keys(before));
  expect(listed().shadow).not.toEqual(before.shadow);
  expect({ ...listed(), shadow: 0 }).toEqual({ ...before, shadow: 0 });
});

it("a name that no module has is refused, and a source that does not compile", () => {
  expect(build("shadows")).toMatchObject({ status: 2 });
  expect(build("shadows").stderr).toMatch(/^error: no module is called shadows: known are weir, /);
  appendFileSync(join(folder, "filters/modules/canary.ts"), "export function (\n");
  expect(build("canary")).toMatchObject({ status: 1 });
});

it("a change of control/ is compiled, and what has not changed is not", () => {
  const main = join(folder, "dist/control/main.js");
  const fresh = () =>
    spawnSync(process.execPath, ["tools/fresh-dist.js"], { cwd: folder, encoding: "utf8" });
  expect(fresh()).toMatchObject({ status: 0, stderr: "" });
  const before = statSync(main).mtimeMs;
  appendFileSync(join(folder, "control/main.ts"), "\nexport const added = 7;\n");
  expect(fresh()).toMatchObject({ status: 0, stderr: "compiling control/ into dist/\n" });
  expect(readFileSync(main, "utf8")).toContain("export const added = 7;");
  expect(statSync(main).mtimeMs).toBeGreaterThan(before);
  expect(fresh()).toMatchObject({ status: 0, stderr: "" });
});

it("the tests begin with both, and say anew where the modules come from", () => {
  expect(readFileSync("vitest.config.ts", "utf8")).toContain('globalSetup: "test/fresh-build.ts"');
  const setup = readFileSync("test/fresh-build.ts", "utf8");
  expect(setup).toContain('["build-filters", "provenance", "fresh-dist"]');
});
