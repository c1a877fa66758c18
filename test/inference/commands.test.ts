import { afterAll, beforeAll, expect, it } from "vitest";
import type { LoadResult, ProbeWindow } from "../../control/load/index.ts";
import { weir as run } from "../e2e/weir-up.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "./behind-weir.ts";
import { type Llama, type Models, startLlama, writeModels } from "./llama.ts";

let models: Models;
let weir: BehindWeir;
const llamas: Llama[] = [];

beforeAll(async () => {
  models = writeModels();
  weir = await startBehindWeir();
  llamas.push(await startLlama(models.fast), await startLlama(models.fast));
  const [stable, canary] = llamas.map(({ endpoint }) => endpoint) as [string, string];
  const halves = [
    { name: "stable", weight: 50, endpoints: [stable] },
    { name: "canary", weight: 50, endpoints: [canary] },
  ];
  await weir.apply(inferenceRoute("halves", {}, { variants: halves, tellVariant: true }));
});
afterAll(async () => {
  await weir?.stop();
  for (const llama of llamas) await llama.stop();
  models?.remove();
});

it("weir pods waits for the first answer of pods, and says which server they run", async () => {
  const { pods } = JSON.parse(await weir.weir("pods", "halves", "-o", "json"));
  expect(pods).toEqual(
    llamas.map(({ endpoint }, i) => ({
      variant: i === 0 ? "stable" : "canary",
      endpoint,
      server: "llama.cpp",
      running: 0,
      waiting: 0,
      saturationPercent: 0,
    })),
  );
  const shown = await weir.weir("pods", "halves");
  expect(shown).toMatch(/stable +listed +llama\.cpp +0 +0 +- +0 % +-\n/);
  expect(shown).toMatch(/canary +0 % +pods' metrics +1 pod$/m);
});

it("weir load has a row for each variant", async () => {
  const { code, stdout, stderr } = await run([
    ...["load", weir.url, "--host", hostOf("halves"), "--stages", "20:4s"],
    ...["--max-tokens", "4", "-o", "json"],
  ]);
  expect(code, stderr).toBe(0);
  const { stages, total } = JSON.parse(stdout) as LoadResult;
  const { canary, stable } = stages[0]?.variants ?? {};
  expect(total.failed).toBe(0);
  expect(canary?.requests).toBeGreaterThan(10);
  expect((canary?.requests ?? 0) + (stable?.requests ?? 0)).toBe(total.requests);
  expect(total.firstTokenMs.p50).toBeGreaterThan(0);
  expect(total.outputTokens).toBeGreaterThan(total.requests);
});

it("weir drill delays tagged requests, and leaves nothing behind", async () => {
  const { code, stdout, stderr } = await run([
    ...["drill", "halves", "--gateway", weir.url, "--server", weir.server, "--model", "any"],
    ...["--delay", "500ms", "--for", "4s", "-o", "json"],
  ]);
  expect(code, stderr).toBe(0);
  const windows = JSON.parse(stdout) as ProbeWindow[];
  expect(windows.length).toBeGreaterThan(0);
  for (const { others, tagged } of windows) {
    expect(tagged.failed + others.failed).toBe(0);
    expect(tagged.latencyMs.p50).toBeGreaterThan(500);
    expect(others.latencyMs.p50).toBeLessThan(tagged.latencyMs.p50);
  }
  expect(await weir.weir("get", "halves", "-o", "yaml")).not.toMatch(/^ {2}fault:/m);
});
