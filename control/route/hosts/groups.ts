import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../names.ts";

/** Hosts for which the same routes answer. */
export interface HostGroup {
  hosts: string[];
  /** By name. */
  routes: InferenceRoute[];
  /** The one that takes what no other does. */
  rest: InferenceRoute | undefined;
  /** Whether something has to tell the requests of one route from those of others, or of none. */
  selects: boolean;
}

/** The routes by each of their hosts, in the order of the routes. */
export function routesByHost(routes: Iterable<InferenceRoute>): Map<string, InferenceRoute[]> {
  const found = new Map<string, InferenceRoute[]>();
  for (const route of routes) addByHost(found, route);
  return found;
}

/** Adds a route to those of its hosts. */
export function addByHost(found: Map<string, InferenceRoute[]>, route: InferenceRoute): void {
  for (const host of new Set(route.spec?.hosts)) {
    const sharing = found.get(host);
    if (sharing) sharing.push(route);
    else found.set(host, [route]);
  }
}

/** The hosts of some routes, those together that have the same routes, in the order of the routes. */
export function hostGroups(routes: readonly InferenceRoute[]): HostGroup[] {
  const groups = new Map<string, HostGroup>();
  for (const [host, sharing] of routesByHost(routes)) {
    const named = sharing.map((route) => ({ route, name: routeName(route) }));
    named.sort((a, b) => (a.name < b.name ? -1 : 1));
    const key = named.map(({ name }) => name).join(" ");
    const group = groups.get(key);
    if (group) {
      group.hosts.push(host);
      continue;
    }
    const ordered = named.map(({ route }) => route);
    groups.set(key, {
      hosts: [host],
      routes: ordered,
      rest: ordered.find((route) => !matches(route)),
      selects: ordered.length > 1 || ordered.some(matches),
    });
  }
  return [...groups.values()];
}

/** Whether a route takes only some of the requests of its hosts. */
export function matches({ spec }: InferenceRoute): boolean {
  return (spec?.match.length ?? 0) > 0;
}

/** Whether the match of a route asks for the model of requests. */
export function asksModel({ spec }: InferenceRoute): boolean {
  return (spec?.match ?? []).some(({ model }) => model !== undefined);
}

/** Whether bodies have to be read for the match of a route. */
export function readsBodies(route: InferenceRoute): boolean {
  return asksModel(route) && !route.spec?.models?.header;
}
