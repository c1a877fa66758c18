import { toJson } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import type { GetRouteResponse } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { withServer } from "./client.ts";
import { server, tokenFile } from "./flags.ts";
import { print, printTable, printValue } from "./output.ts";

interface GetFlags {
  server?: string;
  tokenFile?: string;
  output?: "json" | "yaml";
}

export function addGet(program: Command): void {
  program
    .command("get")
    .summary("list routes, or show one")
    .argument("[name]", 'route, "namespace/name" or just its name')
    .option(...server)
    .option(...tokenFile)
    .addOption(
      new Option("-o, --output <format>", "the documents themselves").choices(["json", "yaml"]),
    )
    .addHelpText("after", "\nExamples:\n  weir get\n  weir get chat -o yaml > route.yaml")
    .action((name: string | undefined, { output, ...flags }: GetFlags) =>
      withServer(flags, async (clients) => {
        const found =
          name === undefined
            ? (await clients.routes.listRoutes({})).routes
            : [await clients.routes.getRoute({ name })];
        if (output) printDocuments(found, output, name !== undefined);
        else if (found.length === 0) print("no routes");
        else printTable(["NAME", "HOSTS", "WEIGHTS", "APPLIED", "ETAG"], found.map(row));
      }),
    );
}

function row({ state, applied }: GetRouteResponse): string[] {
  const spec = state?.route?.spec;
  return [
    state?.route ? routeName(state.route) : "",
    spec?.hosts.join(",") ?? "",
    spec?.variants.map(({ name, weight }) => `${name}=${weight}`).join(" ") ?? "",
    `${applied?.applied ?? 0}/${applied?.wanted ?? 0}`,
    state?.etag ?? "",
  ];
}

function printDocuments(
  found: readonly GetRouteResponse[],
  format: "json" | "yaml",
  one: boolean,
): void {
  const documents = found.flatMap(({ state }) =>
    state?.route ? [toJson(InferenceRouteSchema, state.route)] : [],
  );
  if (one) printValue(documents[0], format);
  else if (format === "json") printValue(documents, format);
  else
    documents.forEach((document, i) => {
      if (i > 0) print("---");
      printValue(document, format);
    });
}
