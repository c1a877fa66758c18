import { Command } from "commander";
import { addApply } from "./commands/apply.ts";
import { addAudit, addDelete } from "./commands/audit.ts";
import { addExport, addImport } from "./commands/backup.ts";
import { addBootstrap } from "./commands/bootstrap.ts";
import { addCheck } from "./commands/check.ts";
import { addDrill } from "./commands/drill.ts";
import { addFilters } from "./commands/filters.ts";
import { addGet } from "./commands/get.ts";
import { addLoad } from "./commands/load.ts";
import { addPlan } from "./commands/plan.ts";
import { addPods } from "./commands/pods.ts";
import { addRegister } from "./commands/register.ts";
import { addRender } from "./commands/render.ts";
import { addRollout } from "./commands/rollout.ts";
import { addSchema } from "./commands/schema.ts";
import { addServe } from "./commands/serve.ts";
import { addShift } from "./commands/shift.ts";
import { addProxies, addStatus } from "./commands/status.ts";
import { addToken } from "./commands/token.ts";
import { addUp } from "./commands/up.ts";
import { connection } from "./flags.ts";

/** All commands, in the order of the help. */
export function createProgram(version: string): Command {
  const program = new Command("weir")
    .description("Traffic control for GPU inference on Envoy and Istio.")
    .version(version)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  for (const add of [
    addUp,
    addServe,
    addBootstrap,
    addToken,
    addExport,
    addImport,
    addCheck,
    addRender,
    addFilters,
    addSchema,
    addPlan,
    addApply,
    addGet,
    addShift,
    addRollout,
    addStatus,
    addProxies,
    addPods,
    addRegister,
    addAudit,
    addDelete,
    addLoad,
    addDrill,
  ])
    add(program, version);
  for (const command of everyCommand(program)) {
    if (command.options.some(({ long }) => long === "--server"))
      for (const flag of connection) command.option(...flag);
    command.exitOverride();
  }
  return program;
}

/** The commands below a command, at any depth. */
function everyCommand({ commands }: Command): Command[] {
  return commands.flatMap((each) => [each, ...everyCommand(each)]);
}
