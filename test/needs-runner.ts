import { relative } from "node:path";
import { inject, it, TestRunner } from "vitest";
import { lackOf } from "./needs.ts";

/**
 * Skips a test file whose tools this machine lacks, and names the tools. In the continuous build
 * such a file fails.
 */
export default class NeedsRunner extends TestRunner {
  override importFile(path: string, source: "collect" | "setup"): unknown {
    const lacks = inject("lacks")[relative(this.config.root, path)];
    if (source === "setup" || lacks === undefined) return super.importFile(path, source);
    const sentence = lackOf(lacks);
    if (process.env.CI !== undefined) throw new Error(sentence);
    it.skip(sentence, () => {});
    return undefined;
  }
}
