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
