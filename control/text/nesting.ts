import { Lexer, Parser } from "yaml";

/** Objects of Kubernetes have about 40 levels, schemas in them included. */
const maxLevels = 200;

/**
 * What is wrong with a text of YAML or JSON that is nested more deeply than anyone writes;
 * undefined where it is not. The reader calls itself for each level, and notes an error for
 * each that it comes back from: 40 kB of brackets take gigabytes.
 */
export function nestingProblem(text: string): string | undefined {
  const parser = new Parser();
  let offset = 0;
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > maxLevels)
      return `is nested more than ${maxLevels} levels deep at line ${text.slice(0, offset).split("\n").length}`;
    offset += lexeme.length;
  }
  return undefined;
}
