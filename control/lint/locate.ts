import { type Document, isNode, LineCounter, parseAllDocuments } from "yaml";
import { nestingProblem } from "../text/nesting.ts";

/**
 * Finds the lines of a text's places: "spec.variants[1].weight", of a later
 * document with "document 2: " before it. A place that is not written, such as
 * a missing field, is where its nearest parent is.
 */
export function locate(text: string): (path: string) => number {
  // It has no places: it is refused as a whole, in words that name the line.
  if (nestingProblem(text) !== undefined) return () => 1;
  const counter = new LineCounter();
  const parsed = parseAllDocuments(text, { lineCounter: counter, uniqueKeys: false });
  const documents = (Array.isArray(parsed) ? parsed : []) as Document[];
  return (path) => {
    const [, index, rest] = /^(?:document (\d+): )?([\s\S]*)$/.exec(path) ?? [];
    const document = documents[index === undefined ? 0 : Number(index) - 1];
    const steps = stepsOf(rest ?? "");
    for (let length = steps.length; document && length >= 0; length--) {
      const node = document.getIn(steps.slice(0, length), true);
      if (isNode(node) && node.range) return counter.linePos(node.range[0]).line;
    }
    return 1;
  };
}

function stepsOf(path: string): (string | number)[] {
  return path
    .split(/\.|(?=\[)/)
    .filter((part) => part !== "")
    .map((part) => {
      const index = /^\[(\d+)\]$/.exec(part)?.[1];
      return index === undefined ? part : Number(index);
    });
}
