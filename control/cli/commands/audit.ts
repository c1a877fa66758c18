import { toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import {
  type AuditEntry,
  AuditEntrySchema,
  type RouteState,
} from "../../gen/weir/v1/service_pb.ts";
import { withServer } from "../client.ts";
import { wholeNumber } from "../edge-flags.ts";
import { output, reason, server } from "../flags.ts";
import { print, printValue, table } from "../output.ts";
import { showOrWatch, watchFlag } from "../watch.ts";

interface AuditFlags {
  server?: string;
  tokenFile?: string;
  output?: "json";
  limit: number;
  watch?: boolean;
}

export function addAudit(program: Command): void {
  program
    .command("audit")
    .summary("show who changed what, when and why")
    .argument("[name]", "route (default: all routes)", "")
    .option(...server)
    .option(
      "--limit <count>",
      "number of newest entries to show",
      (text) => wholeNumber(text, 1, 10_000),
      100,
    )
    .option(...watchFlag)
    .addOption(new Option("-o, --output <format>", "JSON lines, for programs").choices(["json"]))
    .addHelpText(
      "after",
      "\nExamples:\n  weir audit chat\n  weir audit --watch\n  weir audit --limit 1000 -o json",
    )
    .action((name: string, { output, limit, watch, ...flags }: AuditFlags) =>
      withServer(flags, ({ audit }) => {
        const list = async () => (await audit.listAudit({ name, limit })).entries;
        const look = output
          ? newLines(list, watch === true)
          : async () => entriesTable(await list());
        return showOrWatch(watch, look, output !== undefined);
      }),
    );
}

/** Prints each entry once, as a line of JSON; with --watch the newest is last. */
function newLines(list: () => Promise<AuditEntry[]>, newestLast: boolean): () => Promise<string> {
  let seen = -1n;
  return async () => {
    const found = (await list()).filter(({ sequence }) => sequence > seen);
    for (const { sequence } of found) if (sequence > seen) seen = sequence;
    if (newestLast) found.reverse();
    return found.map((entry) => JSON.stringify(toJson(AuditEntrySchema, entry))).join("\n");
  };
}

function entriesTable(entries: readonly AuditEntry[]): string {
  return table(
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
}

export function addDelete(program: Command): void {
  program
    .command("delete")
    .summary("delete a route")
    .argument("<name>", "route")
    .option(...server)
    .option(...reason)
    .option("--etag <etag>", "only if the stored etag is still this one", "")
    .addOption(output())
    .addHelpText("after", "\nExample:\n  weir delete chat --reason 'the model is retired'")
    .action(
      (
        name: string,
        {
          etag,
          reason,
          output,
          ...flags
        }: {
          etag: string;
          reason: string;
          output?: "json" | "yaml";
          server?: string;
          tokenFile?: string;
        },
      ) =>
        withServer(flags, async (clients) => {
          await clients.routes.deleteRoute({ name, etag, reason });
          if (output) printValue({ name, result: "deleted" }, output);
          else print(`${name} deleted`);
        }),
    );
}

function weights(state: RouteState | undefined): string {
  return (
    state?.route?.spec?.variants.map(({ name, weight }) => `${name}=${weight}`).join(" ") ?? "-"
  );
}
