import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";

it("the reference is what the sources say; npm run reference writes it anew", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-reference-"));
  try {
    const made = spawnSync(process.execPath, ["tools/reference.js", directory], {
      encoding: "utf8",
    });
    expect(made.stderr).toBe("");
    for (const name of readdirSync(directory))
      expect(readFileSync(join("docs/reference", name), "utf8")).toBe(
        readFileSync(join(directory, name), "utf8"),
      );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
