import type { Command } from "commander";
import { FailedError } from "./exit.ts";
import { files, formats } from "./flags.ts";
import { checkFiles, problemLine } from "./input.ts";
import { print, printValue } from "./output.ts";

export function addCheck(program: Command): void {
  program
    .command("check")
    .summary("check route documents")
    .description(
      "Checks route documents and tells everything that is wrong with them at once. Needs no server.",
    )
    .requiredOption(...files)
    .option(...formats)
    .addHelpText(
      "after",
      "\nExamples:\n  weir check -f route.yaml\n  cat route.yaml | weir check -f - -o json",
    )
    .action(({ file, output }: { file: string[]; output?: "json" | "yaml" }) => {
      const { routes, problems } = checkFiles(file);
      if (output) printValue({ problems }, output);
      if (problems.length > 0)
        throw new FailedError(output ? "" : problems.map(problemLine).join("\n"));
      if (!output)
        print(`${routes.length} ${routes.length === 1 ? "route is" : "routes are"} right`);
    });
}
