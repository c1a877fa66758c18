import { toJson } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { InferenceRouteSchema } from "../../gen/weir/v1/route_pb.ts";
import type { GetRouteResponse } from "../../gen/weir/v1/service_pb.ts";
import { routeName } from "../../route/index.ts";
import { withServer } from "../client.ts";
import { server } from "../flags.ts";
import { table, valueText } from "../output.ts";
import { showOrWatch, watchFlag } from "../watch.ts";

interface GetFlags {
  server?: string;
  tokenFile?: string;
  output?: "json" | "yaml";
  watch?: boolean;
}

export function addGet(program: Command): void {
  program
    .command("get")
    .summary("list routes, or show one")
    .argument("[name]", 'route, "namespace/name" or just its name')
    .option(...server)
    .option(...watchFlag)
    .addOption(
      new Option("-o, --output <format>", "print the route documents as json or yaml").choices([
        "json",
        "yaml",
      ]),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  weir get\n  weir get --watch\n  weir get chat -o yaml > route.yaml",
    )
    .action((name: string | undefined, { output, watch, ...flags }: GetFlags) =>
      withServer(flags, ({ routes }) =>
        showOrWatch(
          watch,
          async () => {
            const found =
              name === undefined
                ? (await routes.listRoutes({})).routes
                : [await routes.getRoute({ name })];
            if (output) return documents(found, output, name !== undefined);
            if (found.length === 0) return "no routes";
            return table(["NAME", "HOSTS", "WEIGHTS", "APPLIED", "ETAG"], found.map(row));
          },
          output !== undefined,
        ),
      ),
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

function documents(
  found: readonly GetRouteResponse[],
  format: "json" | "yaml",
  one: boolean,
): string {
  const each = found.flatMap(({ state }) =>
    state?.route ? [toJson(InferenceRouteSchema, state.route)] : [],
  );
  if (one) return valueText(each[0], format);
  if (format === "json") return valueText(each, format);
  return each.map((document) => valueText(document, format)).join("---\n");
}
