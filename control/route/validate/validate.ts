import type { InferenceRoute, RouteSpec } from "../../gen/weir/v1/route_pb.ts";
import { hostConflicts } from "../hosts/conflicts.ts";
import { addByHost } from "../hosts/groups.ts";
import { routeName } from "../names.ts";
import type { Problem, Report } from "../problem.ts";
import { checkAttachments } from "./attach.ts";
import { checkCanary } from "./canary.ts";
import { checkCompression } from "./compression.ts";
import { checkDuplicates } from "./duplicates.ts";
import { checkFallback } from "./fallback.ts";
import { checkMatch } from "./match.ts";
import { checkRateLimit } from "./rate-limit.ts";
import { checkResilience } from "./resilience.ts";
import { checkShadow } from "./shadow.ts";
import { checkTraffic } from "./traffic.ts";
import { checkService, checkVariants } from "./variants.ts";

/** The checks of a spec, each in the file of the member that it is about. */
const checks: readonly ((spec: RouteSpec, report: Report) => void)[] = [
  checkService,
  checkVariants,
  checkFallback,
  checkRateLimit,
  checkCanary,
  checkShadow,
  checkCompression,
  checkResilience,
  checkTraffic,
  checkAttachments,
  checkHosts,
  checkMatch,
];

/** Checks the meaning of a document with a valid structure; returns no problems if it may be stored. */
export function validateRoute(route: InferenceRoute): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (code, path, message) => problems.push({ code, path, message });
  const spec = route.spec;
  if (spec === undefined)
    return [{ code: "missing-field", path: "spec", message: "spec is required" }];
  for (const check of checks) check(spec, report);
  return problems;
}

function checkHosts({ hosts }: RouteSpec, report: Report): void {
  checkDuplicates(hosts, "spec.hosts", { code: "duplicate-host", noun: "host" }, report);
}

/**
 * Runs validateRoute for each route, and checks the routes together.
 * @param prefixes what the paths of each route start with; "document N: " where none are given
 */
export function validateAll(
  routes: readonly InferenceRoute[],
  prefixes: readonly string[] = routes.map((_, index) =>
    index === 0 ? "" : `document ${index + 1}: `,
  ),
): Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  const hosts = new Map<string, InferenceRoute[]>();
  for (const [index, route] of routes.entries()) {
    const add = (...found: Problem[]) => {
      for (const each of found) problems.push({ ...each, path: prefixes[index] + each.path });
    };
    add(...validateRoute(route));
    const name = routeName(route);
    if (names.has(name))
      add({
        code: "duplicate-route",
        path: "metadata.name",
        message: `${name} is defined twice`,
      });
    names.add(name);
    add(...hostConflicts(route, hosts));
    addByHost(hosts, route);
  }
  return problems;
}
