import { type Command, InvalidArgumentError } from "commander";

/** Flags of the control service for what rollouts may ask besides the proxies' reports. */
export interface RolloutSourceFlags {
  prometheus?: string;
  webhook?: ReadonlyMap<string, string>;
  podMetrics?: boolean;
  record?: string;
}

export function withRolloutSources(command: Command): Command {
  return command
    .option("--prometheus <url>", "URL of the Prometheus server for queries of rollouts", parseUrl)
    .option(
      "--webhook <name=url>",
      "webhook that rollouts may use as a gate; may be repeated",
      parseWebhook,
    )
    .option(
      "--pod-metrics",
      "read the pods' /metrics, to check capacity in rollouts and to show load",
    )
    .option("--record <file>", "append every report to a file, for weir rollout simulate --replay");
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new InvalidArgumentError("give a URL that starts with http:// or https://.");
  return text;
}

function parseWebhook(
  text: string,
  before: ReadonlyMap<string, string> | undefined,
): ReadonlyMap<string, string> {
  const match = /^([a-z0-9][-a-z0-9]{0,62})=(.+)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined)
    throw new InvalidArgumentError("give NAME=URL, e.g. approval=https://ci.example.com/gate.");
  return new Map([...(before ?? []), [match[1], parseUrl(match[2])]]);
}
