import { Command } from "commander";
import { addApply } from "./apply.ts";
import { addAudit, addDelete } from "./audit.ts";
import { addExport, addImport } from "./backup.ts";
import { addBootstrap } from "./bootstrap.ts";
import { addCheck } from "./check.ts";
import { addDrill } from "./drill.ts";
import { addFilters } from "./filters.ts";
import { connection } from "./flags.ts";
import { addGet } from "./get.ts";
import { addLoad } from "./load.ts";
import { addPlan } from "./plan.ts";
import { addPods } from "./pods.ts";
import { addRender } from "./render.ts";
import { addRollout } from "./rollout.ts";
import { addSchema } from "./schema.ts";
import { addServe } from "./serve.ts";
import { addShift } from "./shift.ts";
import { addProxies, addStatus } from "./status.ts";
import { addToken } from "./token.ts";
import { addUp } from "./up.ts";

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
