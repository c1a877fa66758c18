import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { accessibilityProblems, errorsOf, startBrowser } from "./browser.ts";
import { takePicture } from "./picture.ts";

describe("the page of a service that has nothing yet", () => {
  let browser: Browser;
  let page: Page;
  let server: ControlServer;
  let errors: string[];

  beforeAll(async () => {
    server = await startQuietServer();
    browser = await startBrowser();
    page = await browser.newPage({ viewport: { width: 1200, height: 400 } });
    errors = errorsOf(page);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  it.each([
    ["routes", /no routes yet: weir apply -f route\.yaml/],
    ["rollouts", /no rollouts yet: weir rollout start -f rollout\.yaml/],
    ["proxies", /no Envoy has connected yet: weir bootstrap --node ID/],
    ["changes", /no changes yet/],
  ])("%s says so, and what to do", async (tab, words) => {
    await page.goto(`${urlOf(server)}/#/${tab}`);
    await page.getByText(words).waitFor();
    expect(await page.getByRole("table").count()).toBe(0);
    expect(await accessibilityProblems(page)).toEqual([]);
    await takePicture(page, `empty-${tab}`, false);
    expect(errors).toEqual([]);
  });
});
