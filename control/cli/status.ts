import { toJson } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import { GetRouteResponseSchema, ListProxiesResponseSchema } from "../gen/weir/v1/service_pb.ts";
import { routeName } from "../route/index.ts";
import { withServer } from "./client.ts";
import { server, tokenFile } from "./flags.ts";
import { print, printTable, printValue } from "./output.ts";
import { showApplied } from "./wait.ts";

interface StatusFlags {
  server?: string;
  tokenFile?: string;
  output?: "json" | "yaml";
}

export function addStatus(program: Command): void {
  program
    .command("status")
    .summary("show how far the proxies are with a route")
    .argument("<name>", "route")
    .option(...server)
    .option(...tokenFile)
    .addOption(new Option("-o, --output <format>", "for programs").choices(["json", "yaml"]))
    .addHelpText("after", "\nExample:\n  weir status chat")
    .action((name: string, { output, ...flags }: StatusFlags) =>
      withServer(flags, async (clients) => {
        const found = await clients.routes.getRoute({ name });
        if (output) return printValue(toJson(GetRouteResponseSchema, found), output);
        const { state, applied, traffic } = found;
        print(`${state?.route ? routeName(state.route) : name} (etag ${state?.etag})`);
        const rows = state?.route?.spec?.variants.map((variant) => {
          const seen = traffic.find((each) => each.variant === variant.name);
          return [
            variant.name,
            `${variant.weight} %`,
            String(seen?.requests ?? 0),
            (seen?.requestsPerSecond ?? 0).toFixed(1),
          ];
        });
        printTable(["VARIANT", "WEIGHT", "REQUESTS", "PER SECOND"], rows ?? []);
        if (applied) print(showApplied(applied));
      }),
    );
}

export function addProxies(program: Command): void {
  program
    .command("proxies")
    .summary("list the proxies and what they run")
    .option(...server)
    .option(...tokenFile)
    .addOption(new Option("-o, --output <format>", "for programs").choices(["json", "yaml"]))
    .action(({ output, ...flags }: StatusFlags) =>
      withServer(flags, async (clients) => {
        const found = await clients.fleet.listProxies({});
        if (output) return printValue(toJson(ListProxiesResponseSchema, found), output);
        if (found.proxies.length === 0) return print("no proxies");
        const rows = found.proxies.map(
          ({ node, version, connected, inSync, reportedRevision, resources }) => [
            node,
            version,
            connected ? (inSync ? "in sync" : "behind") : "away",
            reportedRevision || "-",
            resources
              .flatMap(({ type, nackMessage }) =>
                nackMessage ? [`${type} refused: ${nackMessage}`] : [],
              )
              .join("; ") || "-",
          ],
        );
        printTable(["NODE", "ENVOY", "STATE", "REPORTS", "REFUSED"], rows);
      }),
    );
}
