import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { defaultNamespace, routeName } from "../names.ts";
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
  const conflicts = new Map<InferenceRoute, Conflict | undefined>();
  const problems: Problem[] = [];
  for (const [index, host] of (route.spec?.hosts ?? []).entries())
    for (const other of taken.get(host) ?? []) {
      if (isSame(route, other)) continue;
      const isKnown = conflicts.has(other);
      const conflict = isKnown ? conflicts.get(other) : conflictOf(route, other);
      conflicts.set(other, conflict);
      if (conflict === undefined) continue;
      const owner = routeName(other);
      const called = mayName(owner) ? `route ${owner}` : "a route of another namespace";
      const problem = conflict(host, called);
      // What is wrong between two routes is said once; a host that is taken, of each host.
      if (isKnown && problem.path !== undefined) continue;
      problems.push({ ...problem, path: problem.path ?? `spec.hosts[${index}]` });
    }
  return problems;
}

/** Whether these are states of one route. */
function isSame(a: InferenceRoute, b: InferenceRoute): boolean {
  return a.metadata?.name === b.metadata?.name && namespaceOf(a) === namespaceOf(b);
}

function conflictOf(route: InferenceRoute, other: InferenceRoute): Conflict | undefined {
  if (!sharesWith(route, other) || !sharesWith(other, route))
    return (host, called) => ({
      code: "host-taken",
      message: `host ${host} already belongs to ${called}: routes of two namespaces share a host only if each lists the other's in shareHostsWith`,
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
  return route.metadata?.namespace || defaultNamespace;
}

/** Of routes that were looked at: a host of a thousand routes is checked a thousand times. */
const ranked = new WeakMap<InferenceRoute, ReadonlyMap<number, Selection[]>>();

function byRank(route: InferenceRoute): ReadonlyMap<number, Selection[]> {
  const known = ranked.get(route);
  if (known !== undefined) return known;
  const found = new Map<number, Selection[]>();
  for (const each of selectionsOf(route)) {
    const alike = found.get(each.rank);
    if (alike) alike.push(each);
    else found.set(each.rank, [each]);
  }
  ranked.set(route, found);
  return found;
}

/** Two entries that are equally specific and can hold for one request. */
function ambiguity(route: InferenceRoute, other: InferenceRoute): Conflict | undefined {
  const others = byRank(other);
  for (const [rank, all] of byRank(route)) {
    const alike = others.get(rank);
    const mine = alike && all.find((each) => alike.some((theirs) => canBothHold(each, theirs)));
    const theirs = mine && alike?.find((each) => canBothHold(mine, each));
    if (mine !== undefined && theirs !== undefined)
      return (_host, called) => ({
        code: "match-ambiguous",
        path: `spec.match[${mine.entry}]`,
        message: `${describe(route.spec?.match[mine.entry])} is as specific as match[${theirs.entry}] of ${called}, and a request can meet both: make one of them more specific`,
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
  const corsOf = ({ spec }: InferenceRoute) => spec?.cors && JSON.stringify(spec.cors);
  if (corsOf(route) !== corsOf(other))
    return (host, called) => ({
      code: "cors-differs",
      path: "spec.cors",
      message: `cors must be the same as that of ${called}: a browser asks before it is known which route of host ${host} the request is for`,
    });
  return undefined;
}
