import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { gatewayClient } from "../e2e/gateway-client.ts";
import { type WeirUp, weirUp } from "../e2e/weir-up.ts";
import { accessibilityProblems, errorsOf, startBrowser } from "./browser.ts";
import { takePicture } from "./picture.ts";

// A page, a proxy and two pods on a machine that may have more to do.
const patience = { timeout: 180_000 };

describe("the dashboard on a real Envoy, in a real browser", patience, () => {
  let up: WeirUp;
  let browser: Browser;
  let page: Page;
  let errors: string[];
  let traffic: NodeJS.Timeout;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "weir-dashboard-"));
    const route = parse(readFileSync("examples/quick-start/route.yaml", "utf8"));
    // Little, so that a tenant of it is refused something.
    route.spec.rateLimit.tiers.silver = { requestsPerSecond: 1, burst: 1, priority: 5 };
    writeFileSync(join(directory, "route.yaml"), stringify(route));
    up = await weirUp(["--route", join(directory, "route.yaml")]);
    browser = await startBrowser();
    const client = gatewayClient(up.gateway);
    let n = 0;
    traffic = setInterval(() => {
      const tenant = n % 8 === 0 ? "globex" : "acme";
      const headers = { "x-tenant-id": tenant, "x-user-id": `user-${n++ % 50}` };
      client
        .post("/v1/chat/completions", { stream: n % 2 === 0, messages: [], max_tokens: 4 }, headers)
        .catch(() => {});
    }, 50);
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
    await page.goto(up.server);
    await page.getByRole("link", { name: "inference/chat" }).waitFor();
  });
  afterEach(async () => {
    expect(errors).toEqual([]);
    await page.close();
  });
  const picture = (name: string) => takePicture(page, name);

  it("shows routes with weights, rates and how far the proxies are", async () => {
    const row = page.getByRole("row", { name: /inference\/chat/ });
    await row.getByText("stable 90").waitFor();
    await row.getByText("canary 10").waitFor();
    await row.getByText("1 of 1").waitFor();
    await expect
      .poll(() => row.getByRole("cell").nth(1).textContent(), { timeout: 15_000 })
      .toMatch(/^([1-9]|[12]\d)\.\d$/);
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("routes");
  });

  it("shows a route's variants and tiers with charts", async () => {
    await page.getByRole("link", { name: "inference/chat" }).click();
    await page.getByRole("heading", { name: "inference/chat" }).waitFor();
    await page
      .getByRole("img", { name: /^requests\/s, now: stable \d/ })
      .waitFor({ timeout: 30_000 });
    expect(await page.locator("canvas").count()).toBeGreaterThan(0);
    await page.getByRole("row", { name: /^gold/ }).waitFor();
    // What the filters measure of the streams.
    await page
      .getByRole("row", {
        name: /^stable .*0\.0 % 0\.0 % (-|\d+ s) \d+ ms \d+ ms \d+ ms \d+\.\d$/,
      })
      .waitFor({ timeout: 30_000 });
    // Who is refused what, and why.
    await page.getByRole("row", { name: /^silver .*rate_limited \d+\.\d$/ }).waitFor();
    await page.getByRole("row", { name: /^globex \d+\.\d$/ }).waitFor();
    await page.getByRole("row", { name: /^127\.0\.0\.1:\d+ canary .*has capacity$/ }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("route");
  });

  it("shifts with a preview, a reason and the keyboard alone", async () => {
    await page.getByRole("link", { name: "inference/chat" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "shift weights ..." }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Shift inference/chat" });
    await dialog.getByRole("spinbutton", { name: "stable, percent" }).fill("70");
    await dialog.getByRole("spinbutton", { name: "canary, percent" }).fill("30");
    await dialog.getByText("20 % from stable to canary").waitFor();
    await dialog.getByText("what changes in the document").click();
    await dialog.getByText(/weight: 30/).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    // A dialog lies over what is in view, not over the whole page.
    await takePicture(page, "shift", false);
    await dialog.getByRole("textbox", { name: "reason" }).fill("the canary does well");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    await page.getByText("1 of 1").waitFor();
    await page
      .getByRole("row", { name: /shift .*canary 10 → .*canary 30 .*the canary does well/ })
      .waitFor();
    expect(await up.weir("get", "chat", "-o", "yaml")).toContain("weight: 30");
  });

  it("goes back to the weights before in three clicks", async () => {
    await page.getByRole("link", { name: "inference/chat" }).click();
    await page.getByRole("button", { name: "back to stable 90, canary 10 ..." }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("20 % from canary to stable").waitFor();
    await dialog.getByRole("button", { name: "shift", exact: true }).click();
    await dialog.waitFor({ state: "hidden" });
    await expect.poll(() => up.weir("get", "chat", "-o", "yaml")).toContain("weight: 10");
  });

  it("says what is wrong with weights before they are sent", async () => {
    await page.goto(`${up.server}/#/routes/inference/chat`);
    await page.getByRole("button", { name: "shift weights ..." }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("spinbutton", { name: "canary, percent" }).fill("40");
    await dialog.getByText(/weights must sum to exactly 100, not 130/).waitFor();
    expect(await dialog.getByRole("button", { name: "shift", exact: true }).isDisabled()).toBe(
      true,
    );
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
  });

  it("lists proxies and changes", async () => {
    await page.getByRole("link", { name: "Proxies" }).click();
    await page.getByRole("row", { name: /weir-up .*in sync/ }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await page.setViewportSize({ width: 1200, height: 300 });
    await picture("proxies");
    await page.setViewportSize({ width: 1200, height: 900 });
    await page.getByRole("link", { name: "Changes" }).click();
    await page.getByRole("row", { name: /apply inference\/chat/ }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("changes");
  });

  it.each([
    ["dark", { colorScheme: "dark" as const }, { width: 1200, height: 900 }],
    ["narrow", { colorScheme: "light" as const }, { width: 360, height: 740 }],
  ])("reads well %s", async (name, media, viewport) => {
    await page.emulateMedia(media);
    await page.setViewportSize(viewport);
    await page.goto(`${up.server}/#/routes/inference/chat`);
    await page.getByRole("img", { name: /^requests\/s/ }).waitFor({ timeout: 30_000 });
    expect(await accessibilityProblems(page)).toEqual([]);
    expect(
      await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    ).toBeLessThanOrEqual(0);
    await picture(name);
  });

  it("names a route that is not there", async () => {
    await page.goto(`${up.server}/#/routes/inference/nope`);
    await page.getByText("there is no route inference/nope").waitFor();
  });

  it("keeps the last answer while the server is away, and comes back by itself", async () => {
    await page.context().setOffline(true);
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain(
      "cannot reach the control service",
    );
    await page.getByText("stable 90").waitFor();
    await picture("offline");
    await page.context().setOffline(false);
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText("stable 90").waitFor();
  });
});
