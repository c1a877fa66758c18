import { expect, it } from "vitest";
import { errorLines } from "../../control/cli/exit.ts";
import { table } from "../../control/cli/output.ts";
import { showApplied } from "../../control/cli/wait.ts";

const words = "\u001b[2J\u001b]0;mine\u0007no\nedge-2   in sync\u202e";
const shown = "\\u001b[2J\\u001b]0;mine\\u0007no\\nedge-2   in sync\\u202e";

it("a table shows the words of others on their line, and sends a terminal nothing of theirs", () => {
  expect(table(["NODE", "REFUSED"], [[words, words]]).split("\n")).toEqual([
    `NODE${" ".repeat(shown.length - 4)}   REFUSED`,
    `${shown}   ${shown}`,
  ]);
});

it("so does the list of proxies that are behind", () => {
  const behind = [{ node: words, reason: words }] as unknown as Parameters<
    typeof showApplied
  >[0]["behind"];
  const text = showApplied({ wanted: 1, applied: 0, behind } as Parameters<typeof showApplied>[0]);
  expect(text).toBe(`applied on 0 of 1\n  ${shown}: ${shown}`);
});

it("so does an error, a line for each of its own", () => {
  expect(errorLines("edge-1: \u001b[31mno\nedge-2: no")).toBe(
    "error: edge-1: \\u001b[31mno\nerror: edge-2: no\n",
  );
});

it("what is written in other alphabets stays as it is", () => {
  expect(table(["WHY"], [["größer, 大きい, أكبر"]])).toBe("WHY\ngrößer, 大きい, أكبر");
});
