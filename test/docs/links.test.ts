import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

describe("the pages", () => {
  const places = ["docs", "docs/reference", "docs/decisions", "docs/own-filter", "examples"];
  const pages = ["README.md", "CONTRIBUTING.md", "test/README.md", ...places].flatMap((place) =>
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
