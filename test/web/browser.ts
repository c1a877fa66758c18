import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";

const binary = ["chromium", "chromium-browser", "google-chrome"].find(
  (name) => spawnSync(name, ["--version"]).status === 0,
);

/** @param flags further ones of Chromium */
export async function startBrowser(flags: readonly string[] = []): Promise<Browser> {
  const which = spawnSync("which", [binary ?? "chromium"], { encoding: "utf8" });
  if (which.status !== 0) throw new Error("Chromium is not installed: apt install chromium");
  // Root has no user namespace to sandbox in; the page is our own.
  return chromium.launch({
    executablePath: which.stdout.trim(),
    args: [...flags, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
  });
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds wrong with the page as it stands: rule, and where. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  // The page's policy allows no foreign script; the tool is injected past it, as an extension is.
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`),
    );
  });
}

/** Errors that the page writes to its console or throws; a status of the API is no error of the page's. */
export function errorsOf(page: Page): string[] {
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/^Failed to load resource/.test(message.text()))
      errors.push(message.text());
  });
  return errors;
}
