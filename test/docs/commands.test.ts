import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectShown, stepsOf } from "./pages.ts";
import { createReader, type Reader } from "./reader.ts";

// Those of the README, the quick start and the runbook are followed in stranger.test.ts.
describe("the commands of the pages, as they stand", () => {
  let reader: Reader;
  // Envoy may have to be fetched first.
  beforeAll(async () => {
    reader = await createReader();
    await reader.start("npm start");
  }, 300_000);
  afterAll(() => reader.leave());

  const names = ["tiers-and-tokens", "rollouts", "load-and-drills", "monitoring"];
  it.each(names.map((name) => `docs/${name}.md`))("%s", { timeout: 300_000 }, async (page) => {
    for (const { commands, shown } of stepsOf(page)) {
      const output = await reader.run(commands);
      expect(output).not.toBe("");
      expectShown(output, shown);
    }
  });
});

describe("the pages", () => {
  const places = ["docs", "docs/reference", "docs/decisions", "docs/own-filter", "examples"];
  const pages = ["README.md", ...places].flatMap((place) =>
    place.endsWith(".md")
      ? [place]
      : readdirSync(place)
          .filter((name) => name.endsWith(".md"))
          .map((name) => join(place, name)),
  );

  it.each(pages)("%s links only to what is there", (page) => {
    const text = readFileSync(page, "utf8");
    const missing = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)(#[^)\s]*)?\)/g)]
      .map(([, target = ""]) => join(dirname(page), target))
      .filter((target) => !existsSync(target));
    expect(missing).toEqual([]);
  });
});

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
