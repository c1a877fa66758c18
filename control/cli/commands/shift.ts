import { type Command, InvalidArgumentError } from "commander";
import type { Move } from "../../gen/weir/v1/service_pb.ts";
import { withServer } from "../client.ts";
import { output, reason, server } from "../flags.ts";
import { print, printValue } from "../output.ts";
import { waitApplied } from "../wait.ts";

/** One day. */
const maxWaitSeconds = 86_400;

interface ShiftFlags {
  server?: string;
  tokenFile?: string;
  reason: string;
  etag: string;
  wait?: boolean;
  timeout: number;
  output?: "json" | "yaml";
}

export function addShift(program: Command): void {
  program
    .command("shift")
    .summary("change the weights of a route's variants")
    .description(
      "Sets the weights of variants; those not named share the rest. Moves as few users as possible.",
    )
    .argument("<name>", "route")
    .argument("<weights...>", "VARIANT=PERCENT", parseWeight)
    .option(...server)
    .option(...reason)
    .option("--etag <etag>", "only if the stored etag is still this one", "")
    .option("--wait", "wait until every connected proxy runs the change")
    .option("--timeout <seconds>", "time limit for --wait", parseTimeout, 60)
    .addOption(output())
    .addHelpText(
      "after",
      "\nExamples:\n  weir shift chat canary=20\n  weir shift chat canary=0 --reason 'slow first tokens' --wait",
    )
    .action(
      (
        name: string,
        weights: Record<string, number>,
        { etag, reason, wait, timeout, output, ...flags }: ShiftFlags,
      ) =>
        withServer(flags, async (clients) => {
          const { state, moves, changed } = await clients.routes.shiftWeights({
            name,
            weights,
            etag,
            reason,
          });
          const settled = async () =>
            wait ? await waitApplied(clients, name, state?.etag ?? "", timeout * 1000) : undefined;
          if (output) {
            const after = (state?.route?.spec?.variants ?? []).map(
              ({ name: variant, weight }) => [variant, weight] as const,
            );
            const moved = moves.map(({ from, to, percent }) => ({ from, to, percent }));
            const result = { name, changed, weights: Object.fromEntries(after), moves: moved };
            const applied = await settled();
            printValue({ ...result, etag: state?.etag, ...(applied ? { applied } : {}) }, output);
            return;
          }
          const now = state?.route?.spec?.variants
            .map((each) => `${each.name} ${each.weight} %`)
            .join(", ");
          print(changed ? `${name} shifted: ${now}` : `${name} unchanged: ${now}`);
          const moved = showMoves(moves);
          if (moved) print(moved);
          const applied = await settled();
          if (applied) print(applied);
        }),
    );
}

/** Who moves where, a line each. */
export function showMoves(moves: readonly Move[]): string {
  return moves
    .map(({ from, to, percent }) => `  ${percent} % of the users move from ${from} to ${to}`)
    .join("\n");
}

function parseWeight(
  text: string,
  before: Record<string, number> | undefined,
): Record<string, number> {
  const match = /^([a-z0-9-]+)=([0-9]+(?:\.[0-9]+)?)$/.exec(text);
  if (match?.[1] === undefined)
    throw new InvalidArgumentError("give VARIANT=PERCENT, e.g. canary=20.");
  if (before && Object.hasOwn(before, match[1]))
    throw new InvalidArgumentError(`${match[1]} is given twice.`);
  return { ...before, [match[1]]: Number(match[2]) };
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > maxWaitSeconds)
    throw new InvalidArgumentError(`give seconds from 0 to ${maxWaitSeconds}.`);
  return seconds;
}
