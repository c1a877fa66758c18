import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { weirUp } from "./weir-up.ts";

/** Processes whose environment names the directory. */
function processesOf(directory: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`TMPDIR=${directory}`);
      } catch {
        return false;
      }
    });
}

it("weir up leaves no process and no file behind when it is interrupted", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-tmp-"));
  const up = await weirUp([], { TMPDIR: directory });
  expect(processesOf(directory)).toHaveLength(2);
  expect(readdirSync(directory).some((name) => name.startsWith("weir-envoy-"))).toBe(true);
  const code = new Promise((resolve) => up.child.on("exit", resolve));
  await up.stop();
  expect(await code).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
  expect(processesOf(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});
