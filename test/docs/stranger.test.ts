import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { expectShown, stepsOf } from "./pages.ts";
import { createReader, type Reader } from "./reader.ts";

const installAndStart = "npm ci && npm start\n";

// A fresh clone, the documents and nothing else: what a page has its reader do is done as it
// stands, in one session, and what it shows of the outputs has to come.
describe("a stranger gets through", () => {
  let reader: Reader;
  // Envoy may have to be fetched first.
  beforeAll(async () => {
    reader = await createReader({ cloned: true });
    await reader.start("npm start");
  }, 600_000);
  afterAll(() => reader.leave());

  /** Follows a page; the outputs of its blocks. */
  async function follow(page: string): Promise<string[]> {
    const outputs: string[] = [];
    for (const { commands, shown } of stepsOf(page)) {
      if (commands === installAndStart) continue;
      const output = await reader.run(commands);
      expectShown(output, shown);
      outputs.push(output);
    }
    return outputs;
  }

  it("the README: ask, shift, roll back, render", { timeout: 300_000 }, async () => {
    const steps = stepsOf("README.md");
    expect(steps.map(({ commands }) => commands)).toContain(installAndStart);
    for (const { commands } of steps) {
      if (commands.startsWith("npm ci")) continue;
      const output = await reader.run(commands);
      expect(output).toContain('"role":"assistant"');
      expect(output).toMatch(/40 % of the users move from stable to canary\napplied on 1 of 1/);
      expect(output).toMatch(/40 % of the users move from canary to stable\napplied on 1 of 1/);
      expect(output).toMatch(/canary +10 %/);
    }
    expect(await reader.run("cat istio.yaml")).toContain("kind: VirtualService");
  });

  it("the quick start: a shift, a rollback, a limit, load, a drill, a change", {
    timeout: 600_000,
  }, async () => {
    expect(stepsOf("docs/quick-start.md")[0]?.commands).toBe(installAndStart);
    const outputs = await follow("docs/quick-start.md");
    expect(outputs.join("")).toMatch(/others:errors<1% held/);
    expect(await reader.run("npx weir get chat -o yaml")).toMatch(
      /bronze:\s+requestsPerSecond: 10/,
    );
  });

  it("the runbook: an alert, its reading, its cure", { timeout: 600_000 }, async () => {
    const outputs = await follow("docs/runbook.md");
    expect(outputs.length).toBeGreaterThan(4);
    // Each alert that is there has its section, where it says it is.
    const [, anchor] = /"runbook": "docs\/runbook\.md#(\w+)"/.exec(outputs.join("")) ?? [];
    expect(anchor).toBe("weirerrorshigh");
    expect(await reader.run("npx weir status chat")).toMatch(/canary +10 %/);
  });
});
