import type { Command } from "commander";
import { routeName } from "../route/index.ts";
import { withServer } from "./client.ts";
import { files, reason, server, tokenFile } from "./flags.ts";
import { readRoutes } from "./input.ts";
import { print } from "./output.ts";

interface ApplyFlags {
  file: string[];
  server?: string;
  tokenFile?: string;
  reason: string;
  etag: string;
  dryRun?: boolean;
}

export function addApply(program: Command): void {
  program
    .command("apply")
    .summary("store routes and push them to the proxies")
    .description(
      "Stores route documents in the control service, which pushes them to the proxies. All are checked before the first is stored.",
    )
    .requiredOption(...files)
    .option(...server)
    .option(...tokenFile)
    .option(...reason)
    .option("--etag <etag>", "only if this is still the stored one", "")
    .option("--dry-run", "check on the server, store nothing")
    .addHelpText("after", "\nExample:\n  weir apply -f route.yaml --reason 'first version'")
    .action(({ file, etag, dryRun, reason, ...flags }: ApplyFlags) => {
      const routes = readRoutes(file);
      return withServer(flags, async (clients) => {
        for (const route of routes) {
          const { created, changed, state } = await clients.routes.applyRoute({
            route,
            etag,
            reason,
            dryRun: dryRun ?? false,
          });
          const done = created ? "created" : changed ? "changed" : "unchanged";
          print(`${routeName(route)} ${done}${dryRun ? " (dry run)" : ` (etag ${state?.etag})`}`);
        }
      });
    });
}
