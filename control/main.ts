#!/usr/bin/env node
import { CommanderError } from "commander";
import { addCompletion } from "./cli/commands/completion.ts";
import { errorLines, FailedError, UsageError } from "./cli/exit.ts";
import { packageVersion } from "./cli/package-files.ts";
import { createProgram } from "./cli/program.ts";
import { errorText } from "./text/error-text.ts";

/** Exit codes: 0 done, 1 refused or failed, 2 wrong usage. */
async function main(argv: readonly string[]): Promise<number> {
  const program = createProgram(packageVersion());
  await addCompletion(program, argv);
  if (argv.length === 0) {
    program.outputHelp({ error: true });
    return 2;
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // Without a message, all was said on standard output.
    if (error instanceof UsageError) return complain(error.message, 2);
    if (error instanceof FailedError) return complain(error.message, 1);
    return complain(errorText(error), 1);
  }
}

function complain(message: string, code: number): number {
  process.stderr.write(errorLines(message));
  return code;
}

// `weir get | head` closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});
process.exitCode = await main(process.argv.slice(2));
