import { type Command, Option } from "commander";
import type { RolloutProgress } from "../../gen/weir/v1/rollout_pb.ts";
import { type Clients, type ServerFlags, withServer } from "../client.ts";
import { output, reason, server } from "../flags.ts";
import { showOrWatch, watchFlag } from "../watch.ts";
import { addSimulate } from "./simulate.ts";

interface RolloutFlags extends ServerFlags {
  reason: string;
  etag: string;
  full?: boolean;
  output?: "json" | "yaml";
}

interface ListFlags {
  output?: "json" | "yaml";
  watch?: boolean;
}

/** What a command asks of the control service. */
type Ask = (
  clients: Clients,
  name: string,
  flags: RolloutFlags,
) => Promise<{ progress?: RolloutProgress | undefined }>;

/** Loaded by the commands that use it: no other command should wait for it. */
const actions = () => import("./rollout-actions.ts");

export function addRollout(program: Command): void {
  const rollout = program
    .command("rollout")
    .summary("roll a canary out in steps; roll back automatically when a check fails")
    .addHelpText(
      "after",
      "\nExamples:\n  weir rollout start -f rollout.yaml --reason 'model v2'\n  weir rollout watch chat\n  weir rollout rollback chat --reason 'users complain'",
    );
  addStart(rollout);
  const etag = ["--etag <etag>", "only if the stored etag is still this one", ""] as const;
  addCommand(
    rollout,
    "pause",
    "pause the rollout at its current step",
    (clients, name, { reason, etag }) => clients.rollouts.pauseRollout({ name, reason, etag }),
  ).option(...etag);
  addCommand(
    rollout,
    "resume",
    "continue the rollout; evidence is collected again from zero",
    (clients, name, flags) =>
      clients.rollouts.resumeRollout({ name, reason: flags.reason, etag: flags.etag }),
  ).option(...etag);
  addCommand(
    rollout,
    "promote",
    "go to the next step now, without waiting for time and evidence",
    (clients, name, { reason, etag, full = false }) =>
      clients.rollouts.promoteRollout({ name, reason, etag, full }),
  )
    .option(...etag)
    .option("--full", "skip the waiting of all remaining steps");
  addCommand(rollout, "rollback", "move all users back to the stable variant", (clients, name, f) =>
    clients.rollouts.rollbackRollout({ name, reason: f.reason }),
  );
  addList(rollout);
  addWatch(rollout);
  addSimulate(rollout);
}

function addStart(rollout: Command): void {
  rollout
    .command("start")
    .summary("start a rollout")
    .requiredOption("-f, --file <file>", 'rollout document; "-" is standard input')
    .option(...server)
    .option(...reason)
    .addOption(output())
    .addHelpText("after", "\nExample:\n  weir rollout start -f rollout.yaml --reason 'model v2'")
    .action(async ({ file, reason, output, ...flags }: RolloutFlags & { file: string }) => {
      const { printProgress, readRollout } = await actions();
      const rollout = readRollout(file);
      await withServer(flags, async (clients) => {
        const { progress } = await clients.rollouts.startRollout({ rollout, reason });
        if (progress) printProgress(progress, output);
      });
    });
}

function addCommand(rollout: Command, name: string, summary: string, ask: Ask): Command {
  return rollout
    .command(name)
    .summary(summary)
    .argument("<name>", "route")
    .option(...server)
    .option(...reason)
    .addOption(output())
    .addHelpText("after", `\nExample:\n  weir rollout ${name} chat --reason 'seen enough'`)
    .action((route: string, flags: RolloutFlags) =>
      withServer(flags, async (clients) => {
        const { printProgress } = await actions();
        const { progress } = await ask(clients, route, flags);
        if (progress) printProgress(progress, flags.output);
      }),
    );
}

function addList(rollout: Command): void {
  rollout
    .command("list")
    .summary("list the newest rollout of each route")
    .option(...server)
    .option(...watchFlag)
    .addOption(output())
    .addHelpText("after", "\nExamples:\n  weir rollout list\n  weir rollout list --watch")
    .action(({ output, watch, ...flags }: ServerFlags & ListFlags) =>
      withServer(flags, async ({ rollouts }) => {
        const { describeRollouts } = await actions();
        const look = async () => describeRollouts(await rollouts.listRollouts({}), output);
        await showOrWatch(watch, look, output !== undefined);
      }),
    );
}

function addWatch(rollout: Command): void {
  rollout
    .command("watch")
    .summary("show the current step, measurements and what comes next until the rollout ends")
    .description(
      "Shows the current step, measurements and what comes next. Exits with 0 when the rollout succeeds and with 1 when it is rolled back.",
    )
    .argument("<name>", "route")
    .option(...server)
    .option("--once", "show the current state once and exit")
    .addOption(new Option("-o, --output <format>", "JSON lines, for programs").choices(["json"]))
    .addHelpText(
      "after",
      "\nExamples:\n  weir rollout watch chat\n  weir rollout watch chat --once -o json | jq .state.phase",
    )
    .action(
      (
        name: string,
        { output, once, ...flags }: ServerFlags & { output?: "json"; once?: boolean },
      ) =>
        withServer(flags, async (clients) => {
          const { watchRollout } = await actions();
          await watchRollout(clients, name, { once: once === true, json: output === "json" });
        }),
    );
}
