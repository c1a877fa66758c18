import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { gatewayClient } from "../e2e/gateway-client.ts";
import { type WeirUp, weirUp } from "../e2e/weir-up.ts";
import { accessibilityProblems, errorsOf, startBrowser } from "./browser.ts";
import { takePicture } from "./picture.ts";

/** Steps long enough to be looked at; whoever does not want to wait promotes. */
const rollout = {
  apiVersion: "weir.dev/v1alpha1",
  kind: "Rollout",
  metadata: { name: "chat", namespace: "inference" },
  spec: {
    canary: "canary",
    stable: "stable",
    warmup: { weight: 5, duration: "1s" },
    steps: [{ weight: 30 }, { weight: 60 }, { pause: {} }, { weight: 100 }],
    hold: "600s",
    analysis: { minimumSample: 20 },
  },
};

// A page, a proxy and two pods on a machine that may have more to do.
const patience = { timeout: 180_000 };

describe("a rollout on the page, in a real browser", patience, () => {
  let up: WeirUp;
  let browser: Browser;
  let page: Page;
  let errors: string[];
  let traffic: NodeJS.Timeout;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "weir-rollout-page-"));
    const file = join(directory, "rollout.yaml");
    writeFileSync(file, stringify(rollout));
    up = await weirUp(["--route", "examples/rollout/route.yaml"]);
    browser = await startBrowser();
    const client = gatewayClient(up.gateway);
    let n = 0;
    traffic = setInterval(() => {
      const headers = { "x-tenant-id": "acme", "x-user-id": `user-${n++}` };
      client
        .post("/v1/chat/completions", { stream: true, messages: [], max_tokens: 4 }, headers)
        .catch(() => {});
    }, 40);
    await up.weir("rollout", "start", "-f", file, "--reason", "model v2");
  });
  afterAll(async () => {
    clearInterval(traffic);
    await browser.close();
    await up.stop();
    rmSync(directory, { recursive: true });
  });
  beforeEach(async () => {
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    errors = errorsOf(page);
  });
  afterEach(async () => {
    expect(errors).toEqual([]);
    await page.close();
  });
  const picture = (name: string) => takePicture(page, name);
  const open = () => page.goto(`${up.server}/#/routes/inference/chat`);
  /** Does what a button of the rollout offers, and says why. */
  async function ask(action: string, reason: string): Promise<void> {
    await page.getByRole("button", { name: `${action} ...`, exact: true }).click();
    const dialog = page.getByRole("dialog", { name: `${action} the rollout of inference/chat` });
    await dialog.getByRole("textbox", { name: "reason" }).fill(reason);
    await dialog.getByRole("button", { name: action, exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
  }
  const timeline = () => page.getByRole("list", { name: "timeline of the rollout" });
  const stored = () => up.weir("rollout", "watch", "chat", "--once", "-o", "json");

  it("shows the step, its checks with numbers, and how it came there", {
    timeout: 180_000,
  }, async () => {
    await open();
    await page
      .getByRole("listitem")
      .filter({ hasText: /^30 % now$/ })
      .waitFor({ timeout: 60_000 });
    await page
      .getByText(/applied on 1 of 1 proxies; responses in this step: [\d,]+ from canary/)
      .waitFor();
    const check = page.getByRole("row", { name: /^success-rate/ }).first();
    await expect
      .poll(() => check.textContent(), { timeout: 60_000 })
      .toMatch(/100 %.*100 %.*[1-9][\d,]* \/ [1-9]/);
    await timeline().getByText("model v2").waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("rollout");
  });

  it("pauses and goes on, each with a reason", async () => {
    await open();
    await page.getByRole("button", { name: "pause ..." }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText(/^The rollout stays at step 1 of 4: 30 % for canary\./).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await takePicture(page, "rollout-pause", false);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await ask("pause", "pods restart");
    await page.getByText("paused", { exact: true }).first().waitFor();
    await timeline().getByText("pods restart").waitFor();
    expect(JSON.parse(await stored()).state.phase).toBe("paused");
    await ask("resume", "pods are back");
    await timeline().getByText("pods are back").waitFor();
    expect(JSON.parse(await stored()).state.phase).toBe("running");
  });

  it("promotes", async () => {
    await open();
    await ask("promote", "seen enough");
    await page
      .getByRole("listitem")
      .filter({ hasText: /^60 % now$/ })
      .waitFor({ timeout: 60_000 });
    await page
      .getByRole("listitem")
      .filter({ hasText: /^30 % done$/ })
      .waitFor();
    expect(JSON.parse(await stored()).state.weight).toBe(60);
  });

  it("does not overrule what someone else did while the dialog was open", async () => {
    await open();
    await page.getByRole("button", { name: "promote ..." }).click();
    await up.weir("rollout", "pause", "chat", "--reason", "wait");
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "reason" }).fill("on");
    await dialog.getByRole("button", { name: "promote", exact: true }).click();
    await dialog.getByRole("alert").getByText(/etag/).waitFor();
    expect(JSON.parse(await stored()).state.phase).toBe("paused");
  });

  it.each([
    ["dark", { colorScheme: "dark" as const }, { width: 1200, height: 900 }],
    ["narrow", { colorScheme: "light" as const }, { width: 360, height: 740 }],
  ])("reads well %s", async (name, media, viewport) => {
    await page.emulateMedia(media);
    await page.setViewportSize(viewport);
    await open();
    await timeline().waitFor();
    await page
      .getByRole("row", { name: /127\.0\.0\.1:\d+ .*has capacity/ })
      .first()
      .waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    ).toBeLessThanOrEqual(0);
    await picture(`rollout-${name}`);
  });

  it("goes back, and shows beforehand whom that moves", async () => {
    await open();
    await page.getByRole("button", { name: "roll back ..." }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("60 % from canary to stable").waitFor();
    await picture("rollout-back");
    await dialog.getByRole("textbox", { name: "reason" }).fill("users complain");
    await dialog.getByRole("button", { name: "roll back", exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    await page.getByText("rolled back", { exact: true }).first().waitFor({ timeout: 60_000 });
    expect(await page.getByRole("button", { name: "promote ..." }).count()).toBe(0);
    expect(await up.weir("get", "chat", "-o", "yaml")).toMatch(/canary\s+weight: 0|weight: 100/);
  });

  it("lists the rollouts of all routes", async () => {
    await page.goto(`${up.server}/#/rollouts`);
    await page.getByRole("row", { name: /inference\/chat rolled back/ }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("rollouts");
    await page.getByRole("link", { name: "inference/chat" }).click();
    await page.getByRole("heading", { name: "inference/chat" }).waitFor();
  });
});
