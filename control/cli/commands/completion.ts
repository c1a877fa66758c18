import type { RootCommand } from "@bomb.sh/tab";
import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { withServer } from "../client.ts";

/** A shell waits for a key's completion: better no names than a late answer. */
const patienceMs = 1000;

/**
 * Adds `weir completion SHELL`, and the hidden command that the shells ask.
 * Names of routes and variants come from the control service, if one answers.
 */
export async function addCompletion(program: Command, argv: readonly string[]): Promise<void> {
  const root = tab(program, { completionCommandName: "completion" });
  program.commands
    .find((command) => command.name() === "completion")
    ?.summary("print the shell completion script")
    .addHelpText(
      "after",
      "\nExamples:\n  source <(weir completion bash)\n  weir completion zsh > ~/.zfunc/_weir\n  weir completion fish > ~/.config/fish/completions/weir.fish",
    );
  if (argv[0] !== "complete") return;
  completeNames(root, await knownRoutes(), argv);
}

function completeNames(
  root: RootCommand,
  routes: readonly InferenceRoute[],
  argv: readonly string[],
): void {
  for (const command of root.commands.values()) {
    const name = command.arguments.get("name");
    if (name)
      name.handler = (complete) => {
        for (const { metadata, spec } of routes)
          complete(metadata?.name ?? "", (spec?.hosts ?? []).join(", "));
      };
    const weights = command.arguments.get("weights");
    if (weights)
      weights.handler = (complete) => {
        const named = routes.find(({ metadata }) => argv.includes(metadata?.name ?? ""));
        for (const variant of named?.spec?.variants ?? [])
          complete(`${variant.name}=`, `now ${variant.weight} %`);
      };
  }
}

async function knownRoutes(): Promise<InferenceRoute[]> {
  const asked = withServer({}, async ({ routes }) => {
    const answer = await routes.listRoutes({}, { timeoutMs: patienceMs });
    return answer.routes.flatMap(({ state }) => (state?.route ? [state.route] : []));
  });
  return asked.catch(() => []);
}
