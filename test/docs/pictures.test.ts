import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { digestOfPage, pageOfPicture } from "../web/picture.ts";

const folder = "docs/images";
const pages = readdirSync("docs").filter((name) => name.endsWith(".md"));
const shown = pages.flatMap((name) =>
  [...readFileSync(join("docs", name), "utf8").matchAll(/!\[[^\]]+\]\(images\/([^)]+)\)/g)].map(
    ([, picture = ""]) => picture,
  ),
);

describe("the documents' pictures", () => {
  it("are all shown, and all there", () => {
    expect(readdirSync(folder).sort()).toEqual([...new Set(shown)].sort());
  });
  it.each(readdirSync(folder))(
    "%s is of the page as it is; npm run pictures takes it anew",
    (name) => {
      expect(pageOfPicture(join(folder, name))).toBe(digestOfPage());
    },
  );
});
