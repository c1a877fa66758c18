import type { Command } from "commander";
import { routeName } from "../../route/index.ts";
import { withServer } from "../client.ts";
import { files, output, reason, server } from "../flags.ts";
import { readRoutes } from "../input.ts";
import { print, printValue } from "../output.ts";

interface ApplyFlags {
  file: string[];
  server?: string;
  tokenFile?: string;
  reason: string;
  etag: string;
  dryRun?: boolean;
  output?: "json" | "yaml";
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
    .option(...reason)
    .option("--etag <etag>", "only if the stored etag is still this one", "")
    .option("--dry-run", "check on the server without storing anything")
    .addOption(output())
    .addHelpText("after", "\nExample:\n  weir apply -f route.yaml --reason 'first version'")
    .action(({ file, etag, dryRun, reason, output, ...flags }: ApplyFlags) => {
      const routes = readRoutes(file);
      return withServer(flags, async (clients) => {
        const done: { name: string; result: string; etag: string }[] = [];
        for (const route of routes) {
          const { created, changed, state } = await clients.routes.applyRoute({
            route,
            etag,
            reason,
            dryRun: dryRun ?? false,
          });
          const name = routeName(route);
          const result = created ? "created" : changed ? "changed" : "unchanged";
          done.push({ name, result, etag: dryRun ? "" : (state?.etag ?? "") });
          if (!output)
            print(`${name} ${result}${dryRun ? " (dry run)" : ` (etag ${state?.etag})`}`);
        }
        if (output) printValue(done, output);
      });
    });
}
