import type { Command } from "commander";
import { routeName } from "../route/index.ts";
import { withServer } from "./client.ts";
import { FailedError } from "./exit.ts";
import { files, server, tokenFile } from "./flags.ts";
import { readRoutes } from "./input.ts";
import { print } from "./output.ts";
import { showMoves } from "./shift.ts";

export function addPlan(program: Command): void {
  program
    .command("plan")
    .summary("show what applying would change")
    .description(
      "Shows what applying route documents would change, and which users would move. Exit code 1 when anything would change.",
    )
    .requiredOption(...files)
    .option(...server)
    .option(...tokenFile)
    .addHelpText("after", "\nExample:\n  weir plan -f route.yaml || weir apply -f route.yaml")
    .action(({ file, ...flags }: { file: string[]; server?: string; tokenFile?: string }) => {
      const routes = readRoutes(file);
      return withServer(flags, async (clients) => {
        let changes = 0;
        for (const route of routes) {
          const { changed, diff, moves } = await clients.routes.planRoute({ route });
          if (changed) changes++;
          print(
            changed
              ? `${routeName(route)} would change:\n${diff}${showMoves(moves)}`
              : `${routeName(route)} would not change`,
          );
        }
        if (changes > 0) throw new FailedError("");
      });
    });
}
