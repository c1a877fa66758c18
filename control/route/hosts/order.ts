import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { routeName } from "../names.ts";
import { hostGroups } from "./groups.ts";
import { describe, selectionsOf } from "./selection.ts";

/** How the requests for some hosts are given to routes. */
export interface HostOrder {
  hosts: string[];
  /** The first that holds wins; what they ask for, in words. */
  entries: { route: string; asks: string }[];
  /** The route that takes all others; undefined: they get 404. */
  rest: string | undefined;
}

/** The order in which the routes of each host are asked, of hosts whose requests have to be told apart. */
export function hostOrders(routes: readonly InferenceRoute[]): HostOrder[] {
  return hostGroups(routes)
    .filter(({ selects }) => selects)
    .map((group) => {
      const entries = group.routes.flatMap(entriesOf).sort((a, b) => b.rank - a.rank);
      return {
        hosts: group.hosts,
        entries: entries.map(({ asks, route }) => ({ route, asks })),
        rest: group.rest && routeName(group.rest),
      };
    });
}

/** An entry that lists models is one in the order: all of them have the same rank. */
function entriesOf(route: InferenceRoute): { route: string; asks: string; rank: number }[] {
  const ranks = new Map(selectionsOf(route).map(({ entry, rank }) => [entry, rank]));
  return [...ranks].map(([entry, rank]) => ({
    route: routeName(route),
    asks: describe(route.spec?.match[entry]),
    rank,
  }));
}
