import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  type ListPodsResponse,
  ListPodsResponseSchema,
  type PodLoad,
} from "../../gen/weir/v1/signals_pb.ts";
import { type ServerFlags, withServer } from "../client.ts";
import { output, server } from "../flags.ts";
import { table, valueText } from "../output.ts";
import { describeSaturation } from "../saturation.ts";
import { showOrWatch, watchFlag } from "../watch.ts";

interface PodsFlags extends ServerFlags {
  output?: "json" | "yaml";
  watch?: boolean;
}

export function addPods(program: Command): void {
  program
    .command("pods")
    .summary("show how busy the pods of a route are")
    .description(
      "Shows how busy the pods of a route are. The control service reads this from the pods' /metrics if it was started with --pod-metrics. A second table shows the saturation by source: the pods' metrics, and for routes that shed load what the proxies read in responses or estimate.",
    )
    .argument("<name>", "route")
    .option(...server)
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

function show({ read, pods, observed }: ListPodsResponse): string {
  return [showPods(read, pods), ...describeSaturation(pods, observed)].join("\n");
}

function showPods(read: boolean, pods: readonly PodLoad[]): string {
  if (!read && pods.length > 0)
    return table(
      ["POD", "VARIANT", "STATE"],
      pods.map(({ endpoint, variant, state }) => [endpoint, variant, state]),
    );
  if (!read)
    return "the control service does not read the pods' metrics: start it with --pod-metrics";
  if (pods.length === 0)
    return "the route has no endpoints to read metrics from: use kubectl to see its pods";
  const shown = (value: number | undefined, unit = "") =>
    value === undefined ? "-" : `${Math.round(value)}${unit}`;
  const rows = pods.map(
    ({
      endpoint,
      kvCachePercent,
      problem,
      running,
      saturationPercent,
      server,
      state,
      variant,
      waiting,
    }) => [
      endpoint,
      variant,
      state || "listed",
      server || "-",
      shown(running),
      shown(waiting),
      shown(kvCachePercent, " %"),
      shown(saturationPercent, " %"),
      problem || "-",
    ],
  );
  return table(
    [
      "POD",
      "VARIANT",
      "STATE",
      "SERVER",
      "RUNNING",
      "WAITING",
      "KV CACHE",
      "SATURATION",
      "PROBLEM",
    ],
    rows,
  );
}
