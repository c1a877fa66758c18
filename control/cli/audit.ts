import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { AuditEntrySchema, type RouteState } from "../gen/weir/v1/service_pb.ts";
import { withServer } from "./client.ts";
import { reason, server, tokenFile } from "./flags.ts";
import { print, printTable } from "./output.ts";

interface AuditFlags {
  server?: string;
  tokenFile?: string;
  output?: "json";
  limit: number;
}

export function addAudit(program: Command): void {
  program
    .command("audit")
    .summary("show who changed what, when and why")
    .argument("[name]", "route; all when absent", "")
    .option(...server)
    .option(...tokenFile)
    .option("--limit <count>", "newest entries to show", Number, 100)
    .addOption(new Option("-o, --output <format>", "JSON lines, for programs").choices(["json"]))
    .action((name: string, { output, limit, ...flags }: AuditFlags) =>
      withServer(flags, async (clients) => {
        const { entries } = await clients.audit.listAudit({ name, limit });
        if (output)
          for (const entry of entries) print(JSON.stringify(toJson(AuditEntrySchema, entry)));
        else
          printTable(
            ["WHEN", "ACTION", "ROUTE", "BEFORE", "AFTER", "WHO", "WHY"],
            entries.map((entry) => [
              entry.at ? timestampDate(entry.at).toISOString() : "",
              entry.action,
              entry.name,
              weights(entry.before),
              weights(entry.after),
              entry.principal,
              entry.reason,
            ]),
          );
      }),
    );
}

export function addDelete(program: Command): void {
  program
    .command("delete")
    .summary("delete a route")
    .argument("<name>", "route")
    .option(...server)
    .option(...tokenFile)
    .option(...reason)
    .option("--etag <etag>", "only if this is still the stored one", "")
    .action(
      (
        name: string,
        {
          etag,
          reason,
          ...flags
        }: { etag: string; reason: string; server?: string; tokenFile?: string },
      ) =>
        withServer(flags, async (clients) => {
          await clients.routes.deleteRoute({ name, etag, reason });
          print(`${name} deleted`);
        }),
    );
}

function weights(state: RouteState | undefined): string {
  return (
    state?.route?.spec?.variants.map(({ name, weight }) => `${name}=${weight}`).join(" ") ?? "-"
  );
}
