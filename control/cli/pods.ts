import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { type ListPodsResponse, ListPodsResponseSchema } from "../gen/weir/v1/signals_pb.ts";
import { type ServerFlags, withServer } from "./client.ts";
import { output, server, tokenFile } from "./flags.ts";
import { table, valueText } from "./output.ts";
import { showOrWatch, watchFlag } from "./watch.ts";

interface PodsFlags extends ServerFlags {
  output?: "json" | "yaml";
  watch?: boolean;
}

export function addPods(program: Command): void {
  program
    .command("pods")
    .summary("show how busy the pods of a route are")
    .description(
      "Shows how busy the pods of a route are, as they say themselves: the control service asks them where it was started with --pod-metrics.",
    )
    .argument("<name>", "route")
    .option(...server)
    .option(...tokenFile)
    .option(...watchFlag)
    .addOption(output())
    .addHelpText("after", "\nExamples:\n  weir pods chat\n  weir pods chat --watch")
    .action((name: string, { output, watch, ...flags }: PodsFlags) =>
      withServer(flags, ({ signals }) =>
        showOrWatch(
          watch,
          async () => {
            const found = await signals.listPods({ name });
            return output ? valueText(toJson(ListPodsResponseSchema, found), output) : show(found);
          },
          output !== undefined,
        ),
      ),
    );
}

function show({ read, pods }: ListPodsResponse): string {
  if (!read) return "the control service does not ask pods: start it with --pod-metrics";
  if (pods.length === 0) return "the route names no endpoints: ask Kubernetes how its pods do";
  const rows = pods.map(({ endpoint, variant, running, waiting, kvCachePercent, problem }) =>
    problem
      ? [endpoint, variant, "-", "-", "-", problem]
      : [endpoint, variant, `${running}`, `${waiting}`, `${Math.round(kvCachePercent)} %`, "-"],
  );
  return table(["POD", "VARIANT", "IN WORK", "WAITING", "KV CACHE", "PROBLEM"], rows);
}
