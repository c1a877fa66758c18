import { inject } from "vitest";
import type table from "./needs.json";

/** A program, or a right on the machine, that tests need; test/needs.json lists them. */
export type Tool = keyof typeof table.tools;

declare module "vitest" {
  interface ProvidedContext {
    /** The tools that this machine lacks, and how to get each. */
    missing: Partial<Record<Tool, string>>;
    /** Test files that cannot run for want of tools. */
    lacks: Record<string, Tool[]>;
  }
}

/**
 * Whether a part of a suite is left out here for want of a tool. A developer may go without it,
 * the continuous build may not. What a whole suite needs stands in test/needs.json alone.
 * @throws Error in the continuous build, when one is missing
 */
export function without(...tools: Tool[]): boolean {
  const missing = tools.filter((tool) => tool in inject("missing"));
  if (missing.length === 0) return false;
  const sentence = lackOf(missing);
  if (process.env.CI !== undefined) throw new Error(sentence);
  console.warn(`left out: ${sentence}`);
  return true;
}

/** Says which tools are missing, and how to get them. */
export function lackOf(tools: readonly Tool[]): string {
  const each = tools.map((tool) => `${tool} is missing (${inject("missing")[tool]})`);
  return each.join(", ");
}
