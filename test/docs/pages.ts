import { readFileSync } from "node:fs";
import { expect } from "vitest";

/** A block of commands of a page, and the output that the page shows below it, if it does. */
export interface Step {
  commands: string;
  shown: string;
}

/** The blocks of a kind in a page, in order. */
export function blocksOf(page: string, kind: string): string[] {
  return [...readFileSync(page, "utf8").matchAll(blocks)]
    .filter((found) => found[1] === kind)
    .map(([, , block = ""]) => block);
}

const blocks = /^```(\w+)\n([\s\S]*?)^```$/gm;

/** What a page has its reader do, in order; a block of text belongs to the commands before it. */
export function stepsOf(page: string): Step[] {
  const steps: Step[] = [];
  for (const [, kind, block = ""] of readFileSync(page, "utf8").matchAll(blocks)) {
    const last = steps.at(-1);
    if (kind === "sh") steps.push({ commands: block, shown: "" });
    else if (kind === "text" && last && last.shown === "") last.shown = block;
  }
  return steps;
}

/**
 * Holds the output of commands against what the page shows of it: every line
 * shown, in that order, others in between. Numbers, with their units, may be
 * others or missing ("-"), as may times and revisions; "..." stands for anything.
 */
export function expectShown(output: string, shown: string): void {
  let rest = output.split("\n").map(plain);
  for (const line of shown.split("\n").filter((each) => each.trim() !== "")) {
    const pattern = patternOf(line);
    const at = rest.findIndex((each) => pattern.test(each));
    if (at < 0) expect.fail(`the page shows\n  ${line}\nbut what came is\n${output}`);
    rest = rest.slice(at + 1);
  }
}

/** What differs each time, as one sign; columns are as wide as what is in them. */
function plain(line: string): string {
  return line
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z|\b[0-9a-f]{16}\b/g, "#")
    .replace(/\d+(?:[.,]\d+)*(?: ?(?:ms|s|%)(?![a-zA-Z]))?/g, "#")
    .replace(/(?<=\s|^|[/(])-(?=\s|$|[/)])/g, "#")
    .replace(/\s+/g, " ")
    .trim();
}

function patternOf(line: string): RegExp {
  const parts = plain(line)
    .split("...")
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
