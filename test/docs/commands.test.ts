import type { ChildProcess } from "node:child_process";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocksOf, type ReadersFolder, readersFolder } from "./pages.ts";

describe("the commands of the pages, as they stand", () => {
  let folder: ReadersFolder;
  let up: ChildProcess;
  // Envoy may have to be fetched first.
  beforeAll(async () => {
    folder = await readersFolder();
    const [first = ""] = blocksOf("docs/quick-start.md", "sh");
    expect(first).toBe("npm ci && npm start\n");
    // What npm ci does was done before any test could run.
    up = await folder.start("npm start");
  }, 300_000);
  afterAll(async () => {
    const ended = new Promise((done) => up.on("exit", done));
    process.kill(-(up.pid ?? 0), "SIGINT");
    await ended;
    folder.remove();
  });

  it("docs/quick-start.md", { timeout: 300_000 }, async () => {
    const outputs: string[] = [];
    for (const block of blocksOf("docs/quick-start.md", "sh").slice(1))
      outputs.push(await folder.run(block));
    const [ask, look, shift, back, limit, load, change] = outputs;
    expect(JSON.parse(ask ?? "").choices[0].message.role).toBe("assistant");
    expect(look).toMatch(/canary +10 %[\s\S]*applied on 1 of 1[\s\S]*weir-up .*in sync/);
    expect(shift).toMatch(/applied on 1 of 1[\s\S]*canary +30 %/);
    expect(back).toContain("first tokens are slow");
    expect(limit).toMatch(/200 .*429/);
    expect(load).toMatch(/objective errors<1%: held[\s\S]*others:errors<1% held/);
    expect(change).toContain("requestsPerSecond: 10");
    expect(await folder.run("npx weir get chat -o yaml")).toMatch(
      /bronze:\s+requestsPerSecond: 10/,
    );
  });
  const others = ["tiers-and-tokens", "rollouts", "load-and-drills", "monitoring"];
  it.each(others.map((name) => `docs/${name}.md`))("%s", { timeout: 300_000 }, async (page) => {
    for (const block of blocksOf(page, "sh")) expect(await folder.run(block)).not.toBe("");
  });
  it("docs/runbook.md", async () => {
    for (const block of blocksOf("docs/runbook.md", "sh"))
      expect(await folder.run(block)).not.toBe("");
  });
});

describe("the pages", () => {
  const pages = ["README.md", "docs", "docs/reference", "examples"].flatMap((place) =>
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
