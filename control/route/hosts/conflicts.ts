import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../names.ts";
import type { Problem } from "../problem.ts";
import { asksModel, matches } from "./groups.ts";
import { canBothHold, describe, type Selection, selectionsOf } from "./selection.ts";

/** Hosts are given by their names, other routes as the caller may call them. */
type Conflict = (host: string, called: string) => Omit<Problem, "path"> & { path?: string };

/**
 * What keeps a route from sharing its hosts with the routes that have them.
 * @param taken the routes of each host
 * @param mayName whether the caller may know that there is a route of this name
 */
export function hostConflicts(
  route: InferenceRoute,
  taken: ReadonlyMap<string, readonly InferenceRoute[]>,
  mayName: (owner: string) => boolean = () => true,
): Problem[] {
  const conflicts = new Map<string, Conflict | undefined>();
  return (route.spec?.hosts ?? []).flatMap((host, index) =>
    (taken.get(host) ?? []).flatMap((other) => {
      const owner = routeName(other);
      if (owner === routeName(route)) return [];
      const isKnown = conflicts.has(owner);
      const conflict = isKnown ? conflicts.get(owner) : conflictOf(route, other);
      conflicts.set(owner, conflict);
      const called = mayName(owner) ? `route ${owner}` : "a route of another namespace";
      const problem = conflict?.(host, called);
      // What is wrong between two routes is said once; a host that is taken, of each host.
      if (problem === undefined || (isKnown && problem.path !== undefined)) return [];
      return [{ ...problem, path: problem.path ?? `spec.hosts[${index}]` }];
    }),
  );
}

function conflictOf(route: InferenceRoute, other: InferenceRoute): Conflict | undefined {
  if (!sharesWith(route, other) || !sharesWith(other, route))
    return (host, called) => ({
      code: "host-taken",
      message: `host ${host} already belongs to ${called}`,
    });
  if (!matches(route) && !matches(other))
    return (host, called) => ({
      code: "host-taken",
      message: `host ${host} already belongs to ${called}: routes that share a host must differ by match`,
    });
  return ambiguity(route, other) ?? difference(route, other);
}

/** Whether a route lets those of another's namespace share its hosts. */
function sharesWith(route: InferenceRoute, other: InferenceRoute): boolean {
  const namespace = namespaceOf(other);
  return namespace === namespaceOf(route) || (route.spec?.shareHostsWith ?? []).includes(namespace);
}

function namespaceOf(route: InferenceRoute): string {
  return routeName(route).split("/", 1)[0] ?? "";
}

/** Two entries that are equally specific and can hold for one request. */
function ambiguity(route: InferenceRoute, other: InferenceRoute): Conflict | undefined {
  const others = new Map<number, Selection[]>();
  for (const each of selectionsOf(other))
    others.set(each.rank, [...(others.get(each.rank) ?? []), each]);
  for (const mine of selectionsOf(route)) {
    const theirs = others.get(mine.rank)?.find((each) => canBothHold(mine, each));
    const words = describe(route.spec?.match[mine.entry]);
    if (theirs !== undefined)
      return (_host, called) => ({
        code: "match-ambiguous",
        path: `spec.match[${mine.entry}]`,
        message: `${words} is as specific as match[${theirs.entry}] of ${called}, and a request can meet both: make one of them more specific`,
      });
  }
  return undefined;
}

/** Settings that one host can have only once. */
function difference(route: InferenceRoute, other: InferenceRoute): Conflict | undefined {
  const [mine, theirs] = [route.spec?.models, other.spec?.models];
  if (asksModel(route) && asksModel(other) && (mine?.header ?? "") !== (theirs?.header ?? "")) {
    const say = (header = "") => header || "not set";
    return (host, called) => ({
      code: "models-differ",
      path: "spec.models.header",
      message: `models.header is ${say(mine?.header)}, and that of ${called} is ${say(theirs?.header)}: it must be the same in all routes of host ${host}`,
    });
  }
  if (mine?.unreadable === "accept" && theirs?.unreadable === "accept")
    return (host, called) => ({
      code: "models-differ",
      path: "spec.models.unreadable",
      message: `${called} already accepts requests for host ${host} whose model cannot be told: only one route can`,
    });
  if (JSON.stringify(route.spec?.cors) !== JSON.stringify(other.spec?.cors))
    return (host, called) => ({
      code: "cors-differs",
      path: "spec.cors",
      message: `cors must be the same as that of ${called}: a browser asks before it is known which route of host ${host} the request is for`,
    });
  return undefined;
}
