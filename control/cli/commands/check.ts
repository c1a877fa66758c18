import { type Command, Option } from "commander";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import {
  checkFilterFailure,
  checkSelectedHosts,
  type RenderTarget,
  type RouteProblem,
  targetProblems,
} from "../../istio/index.ts";
import {
  atLeast,
  type Cluster,
  type Located,
  lintRoute,
  locate,
  passHasNoEffect,
  type Severity,
  sarif,
  severities,
} from "../../lint/index.ts";
import {
  type HostOrder,
  hostOrders,
  isForPlainEnvoys,
  parseRoutes,
  passInVain,
  routeName,
  validateAll,
} from "../../route/index.ts";
import { FailedError } from "../exit.ts";
import { files } from "../flags.ts";
import { fileName, readInput, readObjectsFile } from "../input.ts";
import { print, printValue } from "../output.ts";

interface CheckFlags {
  file: string[];
  output?: "json" | "yaml" | "sarif";
  failOn: Severity | "never";
  target?: RenderTarget | "envoy";
  cluster?: string;
}

interface Parsed {
  file: string;
  text: string;
  routes: InferenceRoute[];
  prefixes: string[];
}

export function addCheck(program: Command, version: string): void {
  program
    .command("check")
    .summary("check route documents")
    .description(
      "Checks route documents and reports all findings at once: errors, what Istio cannot do, and advice for inference. Needs no server.",
    )
    .requiredOption(...files)
    .addOption(
      new Option("--fail-on <severity>", "exit with 1 for findings of at least this severity")
        .choices([...severities, "never"])
        .default("error"),
    )
    .addOption(
      new Option(
        "--target <target>",
        "what the routes are checked for (default: istio for routes with gateways or attach or without endpoints, else envoy)",
      ).choices(["istio", "gateway-api", "envoy"]),
    )
    .option(
      "--cluster <file>",
      'file with objects of the cluster, as printed by "kubectl get pods,services,gateways,virtualservices,destinationrules -A -o yaml"; "-" is standard input',
    )
    .addOption(
      new Option(
        "-o, --output <format>",
        "json or yaml for programs, sarif for code scanning",
      ).choices(["json", "yaml", "sarif"]),
    )
    .addHelpText(
      "after",
      "\nExamples:\n  weir check -f route.yaml\n  weir check -f route.yaml --fail-on warning -o sarif > weir.sarif\n  kubectl get pods,services,gateways,virtualservices,destinationrules -A -o yaml | weir check -f route.yaml --cluster -",
    )
    .action((flags: CheckFlags) => {
      const cluster = flags.cluster === undefined ? undefined : readObjectsFile(flags.cluster);
      const parsed = flags.file.map(parse);
      const problems = [...parsed.flatMap((each) => each.problems), ...together(parsed)];
      const shared = sharedHosts(parsed, flags.target);
      const findings = [
        ...parsed.flatMap((each) => lint(each, cluster, flags.target, shared)),
        ...(problems.length > 0 ? [] : ignoredFailures(parsed, flags.target)),
      ];
      const located = [...problems, ...findings];
      if (flags.output === "sarif") print(JSON.stringify(sarif(located, version), null, 2));
      else if (flags.output)
        printValue({ problems: problems.map(withoutSeverity), findings }, flags.output);
      finish(
        flags,
        problems,
        findings,
        parsed.flatMap((each) => each.routes),
      );
    });
}

function finish(
  flags: CheckFlags,
  problems: Located[],
  findings: Located[],
  routes: InferenceRoute[],
): void {
  const failing = findings.filter(
    ({ severity }) => flags.failOn !== "never" && atLeast(severity, flags.failOn),
  );
  const lines = [...problems, ...findings].map(line).join("\n");
  if (problems.length > 0 || failing.length > 0) throw new FailedError(flags.output ? "" : lines);
  if (flags.output) return;
  if (lines !== "") print(lines);
  for (const order of hostOrders(routes)) print(orderText(order));
  print(`${routes.length} ${routes.length === 1 ? "route is" : "routes are"} valid`);
}

/** Who gets which requests of hosts that routes share. */
function orderText({ entries, hosts, rest }: HostOrder): string {
  const rows = entries.map(({ asks, route }, index) => `  ${index + 1}. ${route}: ${asks}`);
  return [
    `${hosts.join(", ")}: the first of these that holds for a request takes it`,
    ...rows,
    `  all others: ${rest ?? "refused with 404"}`,
  ].join("\n");
}

function parse(file: string): Parsed & { problems: Located[] } {
  const text = readInput(file);
  const name = fileName(file);
  const { prefixes, problems, routes } = parseRoutes(text);
  const lineOf = problems.length > 0 ? locate(text) : () => 1;
  return {
    file: name,
    text,
    routes,
    prefixes,
    problems: problems.map(({ code, message, path }) => ({
      id: code,
      severity: "error",
      message,
      path,
      file: name,
      line: lineOf(path),
    })),
  };
}

/** What is only wrong with the routes of several files together. */
function together(parsed: (Parsed & { problems: Located[] })[]): Located[] {
  if (parsed.length < 2 || parsed.some(({ problems }) => problems.length > 0)) return [];
  const file = parsed.map((each) => each.file).join(", ");
  return validateAll(parsed.flatMap((each) => each.routes)).map(({ code, message, path }) => ({
    id: code,
    severity: "error",
    message,
    path,
    file,
  }));
}

/** Routes whose onFilterFailure has no effect because of another route. */
function ignoredFailures(parsed: Parsed[], target: CheckFlags["target"]): Located[] {
  const given = parsed.flatMap(({ file, prefixes, routes, text }) =>
    routes.map((route, index) => ({ file, text, route, prefix: prefixes[index] ?? "" })),
  );
  const routes = given.map(({ route }) => route);
  const [plain, meshed] = [true, false].map((is) =>
    routes.filter((route) => (targetOf(route, target) === "envoy") === is),
  ) as [InferenceRoute[], InferenceRoute[]];
  const inVain = new Map(checkFilterFailure(meshed).map(({ message, route }) => [route, message]));
  for (const { beside, route } of passInVain(plain))
    inVain.set(
      routeName(route),
      `onFilterFailure pass has no effect on proxies that serve ${routeName(beside)} too, because its onFilterFailure is refuse`,
    );
  const path = "spec.onFilterFailure";
  return given.flatMap(({ file, prefix, route, text }) => {
    const message = inVain.get(routeName(route));
    return message === undefined
      ? []
      : {
          ...passHasNoEffect,
          message,
          path: prefix + path,
          file,
          line: locate(text)(prefix + path),
        };
  });
}

/** What keeps routes of several files from sharing their hosts under Istio, by route. */
function sharedHosts(parsed: Parsed[], target: CheckFlags["target"]): Map<string, RouteProblem[]> {
  const routes = parsed.flatMap((each) => each.routes);
  const found = new Map<string, RouteProblem[]>();
  for (const meshed of ["istio", "gateway-api"] as const) {
    const there = routes.filter((route) => targetOf(route, target) === meshed);
    for (const problem of checkSelectedHosts(there, meshed))
      found.set(problem.route, [...(found.get(problem.route) ?? []), problem]);
  }
  return found;
}

function lint(
  { file, prefixes, routes, text }: Parsed,
  cluster: Cluster | undefined,
  target: CheckFlags["target"],
  shared: ReadonlyMap<string, readonly RouteProblem[]>,
): Located[] {
  const lineOf = locate(text);
  return routes.flatMap((route, index) => {
    const prefix = prefixes[index] ?? "";
    const asked = targetOf(route, target);
    const refused =
      asked === "envoy"
        ? []
        : [
            ...targetProblems(route, { target: asked }),
            ...(shared.get(routeName(route)) ?? []),
          ].map(({ code, message, path }) => ({
            id: code,
            severity: "error" as const,
            reason: "the route cannot be rendered for this target, or would behave differently",
            message,
            path,
          }));
    return [...refused, ...lintRoute(route, cluster)].map(({ path, ...found }) => ({
      ...found,
      path: prefix + path,
      file,
      line: lineOf(prefix + path),
    }));
  });
}

function targetOf(route: InferenceRoute, target: CheckFlags["target"]): RenderTarget | "envoy" {
  return target ?? (isForIstio(route) ? "istio" : "envoy");
}

function isForIstio({ spec }: InferenceRoute): boolean {
  if (spec === undefined) return false;
  return (
    spec.gateways.length > 0 || spec.attach !== undefined || !spec.variants.some(isForPlainEnvoys)
  );
}

function line({ file, id, message, path, severity }: Located): string {
  const mark = severity === "error" ? "" : `${severity}: `;
  return `${file}: ${path ? `${path}: ` : ""}${mark}${message} [${id}]`;
}

function withoutSeverity({ file, id, line, message, path }: Located) {
  return { file, code: id, path, line, message };
}
