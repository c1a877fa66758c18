import { expect, it } from "vitest";
import { expectShown } from "./pages.ts";

const output = `VARIANT   WEIGHT   ERRORS
stable    90 %     -
canary    10 %     45.2 %
2026-11-21T14:33:46.005Z   shift    first tokens are slow
200 200 429
`;

it.each([
  ["other numbers, missing ones and wider columns", "stable   8 %   1.5 %\ncanary   10 %   -"],
  ["another time", "2027-01-01T00:00:00.000Z   shift   first tokens are slow"],
  ["whatever is left out", "VARIANT ... ERRORS\n...\n200 ... 429"],
])("%s are as shown", (_name, shown) => {
  expectShown(output, shown);
});

it.each([
  ["another word", "2026-11-21T14:33:46.005Z   shift    first tokens are fast"],
  ["a column more", "stable    90 %     -     -"],
  ["another order", "canary    10 %     45.2 %\nstable    90 %     -"],
  ["a part of a line", "shift    first tokens are slow"],
])("%s is not", (_name, shown) => {
  expect(() => expectShown(output, shown)).toThrow("the page shows");
});
