import { type Command, Option } from "commander";
import { routeName } from "../../route/index.ts";
import { wholeNumber } from "../edge-flags.ts";
import { FailedError, UsageError } from "../exit.ts";
import { readInput, readRoutes } from "../input.ts";
import { print } from "../output.ts";

interface SimulateFlags {
  file: string;
  route: string;
  replay?: string;
  synthetic?: string;
  perSecond: number;
  seconds: number;
  seed: number;
  output?: "json";
}

export function addSimulate(rollout: Command): void {
  rollout
    .command("simulate")
    .summary("run a rollout against recorded or synthetic reports, faster than real time")
    .description(
      "Prints what the rollout would have done. Exits with 1 when it would not have succeeded.",
    )
    .requiredOption("-f, --file <file>", 'rollout document; "-" is standard input')
    .requiredOption("--route <file>", "file with the route that the rollout changes")
    .option("--replay <file>", "recording that weir serve --record wrote")
    .option("--synthetic <fault>", "synthetic traffic with this fault of the canary (or none)")
    .option("--per-second <requests>", "request rate of synthetic traffic", positive, 50)
    .option("--seconds <seconds>", "duration of synthetic traffic", positive, 3600)
    .option(
      "--seed <number>",
      "seed of synthetic traffic; the same seed gives the same traffic",
      (text) => wholeNumber(text, 0, 2 ** 32 - 1),
      1,
    )
    .addOption(new Option("-o, --output <format>", "JSON lines, for programs").choices(["json"]))
    .addHelpText(
      "after",
      "\nExamples:\n  weir rollout simulate -f rollout.yaml --route route.yaml --replay reports.jsonl\n  weir rollout simulate -f rollout.yaml --route route.yaml --synthetic slow-first-token",
    )
    .action((flags: SimulateFlags) => run(flags));
}

async function run({ file, route: routeFile, replay, synthetic, output, ...made }: SimulateFlags) {
  if ((replay === undefined) === (synthetic === undefined))
    throw new UsageError("give either --replay or --synthetic");
  const { faultNames, madeUpFrames, readReplay, ReplayError, simulate, validateRollout } =
    await import("../../rollout/index.ts");
  const { readRollout, showPins, showVerdict } = await import("./rollout-actions.ts");
  if (synthetic !== undefined && !faultNames.includes(synthetic))
    throw new UsageError(`--synthetic ${synthetic} is not one of ${faultNames.join(", ")}`);
  const rollout = readRollout(file);
  const name = routeName(rollout);
  const route = readRoutes([routeFile]).find((each) => routeName(each) === name);
  if (route === undefined) throw new FailedError(`${routeFile} has no route ${name}`);
  // What only a control service can offer is left out of a simulation.
  const everything = {
    prometheus: true,
    webhooks: rollout.spec?.gates.map((each) => each.name) ?? [],
    pods: true,
  };
  const problems = validateRollout(rollout, route, everything);
  if (problems.length > 0)
    throw new FailedError(
      problems
        .map(({ path, message, code }) => `${file}: ${path}: ${message} [${code}]`)
        .join("\n"),
    );

  const { canary = "", stable = "" } = rollout.spec ?? {};
  const frames = () => {
    if (replay === undefined)
      return madeUpFrames({ ...made, route: name, stable, canary, fault: synthetic ?? "none" });
    const recorded = readReplay(readInput(replay, 1 << 30));
    return () => recorded.shift();
  };
  try {
    const { state, changes, last } = await simulate(rollout, route, frames());
    for (const change of changes)
      print(
        output
          ? JSON.stringify(change)
          : `${time(change.atMs)}  ${change.phase.padEnd(12)} ${String(change.weight).padStart(6)} %  ${change.reason}`,
      );
    if (!output) for (const line of showPins(state)) print(`         ${line}`);
    if (!output)
      for (const verdict of last.verdicts.length > 0 ? last.verdicts : state.verdicts)
        print(`           ${showVerdict(verdict)}`);
    if (state.phase === "succeeded") return;
    const waits = last.waitingFor.length > 0 ? `, waiting for ${last.waitingFor[0]}` : "";
    throw new FailedError(
      state.phase === "running"
        ? `the reports ended at step ${state.step + 1}${waits}`
        : `${state.phase}: ${state.reason}`,
    );
  } catch (error) {
    if (error instanceof ReplayError) throw new FailedError(`${replay}: ${error.message}`);
    throw error;
  }
}

/** "00:03:09". */
function time(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return [seconds / 3600, (seconds / 60) % 60, seconds % 60]
    .map((each) => String(Math.floor(each)).padStart(2, "0"))
    .join(":");
}

function positive(text: string): number {
  return wholeNumber(text, 1, 1_000_000);
}
