import type { Command } from "commander";
import type { Move } from "../../gen/weir/v1/service_pb.ts";
import { type ObjectChange, planObjects } from "../../istio/index.ts";
import type { KubernetesObject } from "../../objects/index.ts";
import { movesBetween, planRoute, routeName } from "../../route/index.ts";
import { withServer } from "../client.ts";
import { FailedError, UsageError } from "../exit.ts";
import { files, output, server } from "../flags.ts";
import { isRouteFile, readObjectsFile, readRoutes, readStates } from "../input.ts";
import { print, printValue } from "../output.ts";
import { type RenderFlags, renderFiles, withRenderOptions } from "../render-files.ts";
import { showMoves } from "./shift.ts";

interface PlanFlags extends RenderFlags {
  against?: string;
  merge?: true;
  output?: "json" | "yaml";
  server?: string;
  tokenFile?: string;
}

/** What applying would change, in documents or objects, and who would move. */
interface Planned {
  changed: boolean;
  objects: ObjectChange[];
  routes: { name: string; changed: boolean; diff: string; moves: Move[] }[];
}

export function addPlan(program: Command): void {
  withRenderOptions(
    program
      .command("plan")
      .summary("show what applying would change")
      .description(
        "Shows what applying route documents would change, and which users would move. Exits with 1 when anything would change.",
      )
      .requiredOption(...files)
      .option(
        "--against <file>",
        'file to compare with instead of a control service: route documents, or objects as printed by "kubectl get -o yaml" or weir render; "-" is standard input',
      )
      .option("--merge", "with objects in --against: plan what weir render --merge would apply"),
  )
    .addOption(output())
    .option(...server)
    .addHelpText(
      "after",
      "\nExamples:\n  weir plan -f route.yaml || weir apply -f route.yaml\n  kubectl get virtualservices,destinationrules,trafficextensions,envoyfilters -A -o yaml | weir plan -f route.yaml --against -",
    )
    .action(async ({ output, ...flags }: PlanFlags, command: Command) => {
      const objects = flags.against !== undefined && !isRouteFile(flags.against);
      refuseUnread(command, objects ? connectionFlags : renderingFlags, flags.against);
      const planned =
        flags.against === undefined
          ? await againstServer(flags)
          : objects
            ? againstObjects(flags, readObjectsFile(flags.against))
            : againstRoutes(flags, flags.against);
      if (output) printValue(plain(planned), output);
      else show(planned);
      if (planned.changed) throw new FailedError("");
    });
}

/** What only a comparison with objects reads, and what only one with a control service does. */
const renderingFlags = [
  ["--merge", "merge"],
  ["--target", "target"],
  ["--gateway-api-channel", "gatewayApiChannel"],
  ["--wasm-url", "wasmUrl"],
  ["--token-limit-wasm-url", "tokenLimitWasmUrl"],
  ["--route-select-wasm-url", "routeSelectWasmUrl"],
  ["--wasm-sha256", "wasmSha256"],
  ["--istio-version", "istioVersion"],
] as const;
const connectionFlags = [
  ["--server", "server"],
  ["--token-file", "tokenFile"],
  ["--ca", "ca"],
  ["--cert", "cert"],
  ["--key", "key"],
] as const;

/** Rejects flags that have no effect in this kind of comparison. @throws UsageError */
function refuseUnread(
  command: Command,
  flags: readonly (readonly [string, string])[],
  against: string | undefined,
): void {
  const unread = flags.find(([, name]) => command.getOptionValueSource(name) === "cli");
  if (unread === undefined) return;
  const what = against === undefined ? "a control service" : against;
  throw new UsageError(`${unread[0]} has no effect in a comparison with ${what}: leave it out`);
}

function againstServer(flags: PlanFlags): Promise<Planned> {
  const given = readRoutes(flags.file);
  return withServer(flags, async (clients) => {
    const routes: Planned["routes"] = [];
    for (const route of given) {
      const { changed, diff, moves } = await clients.routes.planRoute({ route });
      routes.push({ name: routeName(route), changed, diff, moves });
    }
    return { changed: routes.some(({ changed }) => changed), objects: [], routes };
  });
}

function againstRoutes(flags: PlanFlags, against: string): Planned {
  const stored = readStates([against]);
  const routes = readRoutes(flags.file).map((route) => {
    const plan = planRoute(route, stored.get(routeName(route)));
    return { name: routeName(route), ...plan };
  });
  return { changed: routes.some(({ changed }) => changed), objects: [], routes };
}

function againstObjects(
  { against, merge, ...flags }: PlanFlags,
  existing: KubernetesObject[],
): Planned {
  const { before, manifests, states } = renderFiles(flags, existing, merge === true);
  const names = states.map(({ route }) => routeName(route));
  const objects = planObjects(manifests, existing, names);
  const routes = states.map((state, index) => {
    const known = before.get(names[index] ?? "");
    const moves = known ? movesBetween(known.buckets, state.buckets) : [];
    return { name: names[index] ?? "", changed: moves.length > 0, diff: "", moves };
  });
  return { changed: objects.some(({ action }) => action !== "none"), objects, routes };
}

function show({ changed, objects, routes }: Planned): void {
  for (const { action, diff, kind, name } of objects)
    if (action !== "none") print(`would ${action} ${kind} ${name}:\n${diff}`);
  for (const { diff, moves, name, ...route } of routes) {
    if (objects.length > 0 && moves.length === 0) continue;
    const moved = showMoves(moves);
    if (objects.length > 0) print(`users of ${name}:\n${moved}`);
    else
      print(route.changed ? `${name} would change:\n${diff}${moved}` : `${name} would not change`);
  }
  if (objects.length > 0 && !changed) print(`${objects.length} objects would not change`);
}

function plain({ changed, objects, routes }: Planned) {
  return {
    changed,
    objects,
    routes: routes.map(({ moves, ...route }) => ({
      ...route,
      moves: moves.map(({ from, percent, to }) => ({ from, to, percent })),
    })),
  };
}
